"""A step's completions for users: all rollouts in a file, a few groups in the log."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from transformers import PreTrainedTokenizerBase

from grpo.rollout.groups import Group, Rollout


@dataclass(frozen=True)
class TokenLogprobs:
    """The logprobs and the tokenizer to show a group's completions token by token.

    `policy`: the policy's logprobs of each rollout's tokens, from before the step's first update;
    None where they were not computed, as for a tie.
    """

    tokenizer: PreTrainedTokenizerBase
    policy: Sequence[Sequence[float] | None]  # one per rollout


def pick_samples(groups: Sequence[Group], *, count: int, seed: int) -> list[Group]:
    """Pick up to `count` groups: one that is tied, and others that are not.

    A single group is a tie only where all are ties.
    """
    random = Random(seed)
    mixed = [group for group in groups if not group.tied]
    ties = [group for group in groups if group.tied]
    num_tied = 1 if ties and (count > 1 or (count == 1 and not mixed)) else 0
    return [
        *random.sample(mixed, min(count - num_tied, len(mixed))),
        *random.sample(ties, num_tied),
    ]


def sample_payload(group: Group, *, token_logprobs: TokenLogprobs | None = None) -> dict[str, Any]:
    """Return a group as users see it, with its tokens where their logprobs are given."""
    completions = _completions(group)
    if token_logprobs is not None:
        for shown, rollout, policy in zip(
            completions, group.rollouts, token_logprobs.policy, strict=True
        ):
            shown["tokens"] = _tokens(rollout, token_logprobs.tokenizer, policy)
    return {
        "prompt": group.prompt.text,
        "answer": group.prompt.answer,
        "source": group.prompt.source,
        "outcome": _outcome(group),
        "completions": completions,
    }


def rollout_rows(
    groups: Sequence[Group], *, discarded: Sequence[Group] = (), step: int
) -> Iterator[dict[str, Any]]:
    """Yield a row for each completion of the step: of trained groups, then of discarded ones.

    `group` counts the step's groups from 0; a data set smaller than a step can have one row twice.
    """
    for place, group in enumerate([*groups, *discarded]):
        for rollout, fields in zip(group.rollouts, _completions(group), strict=True):
            yield {
                "step": step,
                "group": place,
                "row": group.prompt.row,
                "source": group.prompt.source,
                "outcome": _outcome(group),
                "discarded": place >= len(groups),
                "sibling": rollout.sibling,
                "prompt": group.prompt.text,
                "messages": list(group.prompt.messages),
                **fields,
            }


def _outcome(group: Group) -> str:
    return "tied" if group.tied else "mixed"


def _completions(group: Group) -> list[dict[str, Any]]:
    return [
        {
            "text": rollout.text,
            "reward": rollout.score.total,
            "rewards": rollout.score.parts,
            "advantage": advantage,
            "num_tokens": len(rollout.completion.token_ids),
            "finish_reason": rollout.completion.finish_reason,
        }
        for rollout, advantage in zip(group.rollouts, group.advantages, strict=True)
    ]


def _tokens(
    rollout: Rollout, tokenizer: PreTrainedTokenizerBase, policy: Sequence[float] | None
) -> list[dict[str, Any]]:
    """Return every token as text (special ones by their names), with both logprobs."""
    completion = rollout.completion
    return [
        {
            "text": str(tokenizer.decode([token_id])),
            "sampler_logprob": sampler_logprob,
            "policy_logprob": policy_logprob,
        }
        for token_id, sampler_logprob, policy_logprob in zip(
            completion.token_ids,
            completion.sampler_logprobs,
            policy if policy is not None else [None] * len(completion.token_ids),
            strict=True,
        )
    ]
