"""What a step collects: completions with their rewards, in groups with their advantages."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from grpo.algorithm.advantage import advantages, tied
from grpo.data.prompts import Prompt
from grpo.rewards.scorer import Score
from grpo.rollout.engines.engine import Completion
from grpo.spec.algorithm import Advantage


@dataclass(frozen=True)
class Rollout:
    """One completion of a prompt, with its text and reward."""

    prompt: Prompt
    sibling: int  # 0..k-1 within its group
    completion: Completion
    text: str
    score: Score
    right: bool

    @property
    def truncated(self) -> bool:
        """Whether it was cut off at max_tokens."""
        return self.completion.finish_reason == "length"


Siblings = Sequence[Rollout]
"""The rollouts of one prompt in one step."""


@dataclass(frozen=True)
class Group:
    """Siblings with their advantages; a tie's are 0."""

    prompt: Prompt
    rollouts: tuple[Rollout, ...]
    advantages: tuple[float, ...]  # one a rollout
    tied: bool


def compare(batch: Sequence[Siblings], *, advantage: Advantage) -> list[Group]:
    """Each group compared within itself; `scale: batch` divides by the whole batch's deviation."""
    if not batch:
        return []
    rewards, sizes = _rewards(batch)
    by_rollout = advantages(
        rewards,
        sizes,
        scale=advantage.scale,
        std_ddof=advantage.std_ddof,
        eps=advantage.eps,
        tie_margin=advantage.tie_margin,
    )
    ties = tied(rewards, sizes, tie_margin=advantage.tie_margin).tolist()
    return [
        Group(
            prompt=siblings[0].prompt,
            rollouts=tuple(siblings),
            advantages=tuple(of_group.tolist()),
            tied=tie,
        )
        for siblings, of_group, tie in zip(
            batch, by_rollout.split(sizes.tolist()), ties, strict=True
        )
    ]


def find_ties(batch: Sequence[Siblings], *, tie_margin: float) -> list[bool]:
    return tied(*_rewards(batch), tie_margin=tie_margin).tolist() if batch else []


def _rewards(batch: Sequence[Siblings]) -> tuple[Tensor, Tensor]:
    """Rewards [N] of all rollouts, group after group, and the groups' sizes [P]."""
    rewards = [rollout.score.total for siblings in batch for rollout in siblings]
    sizes = torch.tensor([len(siblings) for siblings in batch])
    return torch.tensor(rewards, dtype=torch.float64), sizes
