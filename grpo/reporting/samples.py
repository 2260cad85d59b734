"""A step's completions for users: all rollouts in a file, a few groups in the log."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from transformers import PreTrainedTokenizerBase

from grpo.rollout.groups import Group, Rollout


@dataclass(frozen=True)
class TokenLogprobs:
    """The logprobs and the tokenizer that show a group's completions token by token.

    `policy`: the policy's logprobs of each rollout's tokens, from before the step's first update;
    None if they were not computed, as for ties.
    """

    tokenizer: PreTrainedTokenizerBase
    policy: Sequence[Sequence[float] | None]  # one per rollout


def pick_samples(groups: Sequence[Group], *, count: int, seed: int) -> list[Group]:
    """Pick up to `count` groups: one tie, and otherwise contrasts.

    With a count of 1, a tie only if all groups are ties.
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
    """Return a group as shown to users, with its tokens if their logprobs are given."""
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
    """Yield a row for each completion of the step: trained groups first, then discarded ones.

    `group` numbers the step's groups from 0; in a dataset smaller than a step, one row can occur
    twice.
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
    """Return every token as text (special tokens by name), with both logprobs."""
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
