"""What users see of a step: all its rollouts in a file, a few groups in the log."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from grpo.groups import Group, Rollout

NUM_MIXED_SAMPLES = 2
NUM_TIED_SAMPLES = 1


def pick_samples(groups: Sequence[Group], *, seed: int) -> list[Group]:
    """A few groups that carry a gradient and one that does not, as far as there are such."""
    random = Random(seed)
    mixed = [group for group in groups if not group.tied]
    ties = [group for group in groups if group.tied]
    return [
        *random.sample(mixed, min(NUM_MIXED_SAMPLES, len(mixed))),
        *random.sample(ties, min(NUM_TIED_SAMPLES, len(ties))),
    ]


def sample_payload(group: Group) -> dict[str, Any]:
    return {
        "prompt": group.prompt.text,
        "answer": group.prompt.answer,
        "outcome": "tied" if group.tied else "mixed",
        "completions": [
            _completion_fields(rollout, advantage)
            for rollout, advantage in zip(group.rollouts, group.advantages, strict=True)
        ],
    }


def rollout_rows(groups: Sequence[Group], *, step: int) -> Iterator[dict[str, Any]]:
    for group in groups:
        for rollout, advantage in zip(group.rollouts, group.advantages, strict=True):
            yield {
                "step": step,
                "row": group.prompt.row,
                "sibling": rollout.sibling,
                "prompt": group.prompt.text,
                **_completion_fields(rollout, advantage),
            }


def _completion_fields(rollout: Rollout, advantage: float) -> dict[str, Any]:
    return {
        "text": rollout.text,
        "reward": rollout.score.total,
        "rewards": rollout.score.parts,
        "advantage": advantage,
        "num_tokens": len(rollout.completion.token_ids),
        "finish_reason": rollout.completion.finish_reason,
    }
