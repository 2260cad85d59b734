"""What a step collects: completions with their rewards, in groups with their advantages."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from grpo.advantage import group_advantages, tied
from grpo.data.prompts import Prompt
from grpo.engines.engine import Completion
from grpo.scoring import Score
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


@dataclass(frozen=True)
class Group:
    """The k rollouts of one prompt in one step; a tie carries no gradient."""

    prompt: Prompt
    rollouts: tuple[Rollout, ...]
    advantages: tuple[float, ...]  # one a rollout
    tied: bool


def compare(rollouts: Sequence[Rollout], *, group_size: int, advantage: Advantage) -> list[Group]:
    """Groups of `group_size` neighbouring rollouts, each compared within itself."""
    rewards = torch.tensor([rollout.score.total for rollout in rollouts], dtype=torch.float64)
    rewards = rewards.view(-1, group_size)  # [P, G]
    advantages = group_advantages(
        rewards,
        scale=advantage.scale,
        std_ddof=advantage.std_ddof,
        eps=advantage.eps,
        tie_margin=advantage.tie_margin,
    ).tolist()
    ties = tied(rewards, tie_margin=advantage.tie_margin).tolist()
    return [
        Group(
            prompt=rollouts[group * group_size].prompt,
            rollouts=tuple(rollouts[group * group_size : (group + 1) * group_size]),
            advantages=tuple(advantages[group]),
            tied=ties[group],
        )
        for group in range(len(ties))
    ]
