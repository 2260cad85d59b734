"""Rollouts with their rewards, in groups with their advantages."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from grpo.algorithm.advantage import advantages, normalised_sum, tied
from grpo.algorithm.baseline import against, memory_baselines, shrunk_baselines
from grpo.data.prompts import Prompt
from grpo.rollout.baseline_memory import BaselineMemory
from grpo.rollout.engines.engine import Completion
from grpo.rollout.scorer import Score
from grpo.spec.algorithm import Advantage

ROUNDING = 1e-9
"""Rounding of a sum of normalised rewards, as a share of its weights."""


@dataclass(frozen=True)
class Rollout:
    """One completion of a prompt, with its text and reward."""

    prompt: Prompt
    sibling: int  # 0..k-1 within its group
    completion: Completion
    text: str
    score: Score  # the task's reward, without `penalty`
    right: bool | None  # None: no reward judges correctness
    penalty: float = 0.0  # added to the training reward (kl.where: reward)

    @property
    def truncated(self) -> bool:
        """Whether the completion was cut off at max_tokens."""
        return self.completion.finish_reason == "length"


Siblings = Sequence[Rollout]
"""The rollouts of one prompt in one step."""


@dataclass(frozen=True)
class Group:
    """Siblings with their advantages; only the task's rewards determine ties."""

    prompt: Prompt
    rollouts: tuple[Rollout, ...]
    advantages: tuple[float, ...]  # one per rollout
    tied: bool

    @property
    def has_gradient(self) -> bool:
        """Whether the group is learnt from: a tie only where its baseline is not its own mean."""
        return not self.tied or any(self.advantages)


def compare(
    batch: Sequence[Siblings], *, advantage: Advantage, memory: BaselineMemory | None = None
) -> list[Group]:
    """Return the groups with their advantages; `scale: batch` uses the batch's standard
    deviation.  `memory`: the rewards so far, for the baseline of that name."""
    if not batch:
        return []
    rewards, sizes = _rewards(batch, advantage)
    margin = _margin(batch, advantage)
    penalties = _of_all([rollout.penalty for siblings in batch for rollout in siblings])
    if advantage.baseline == "pair":
        by_rollout = advantages(
            rewards,
            sizes,
            scale=advantage.scale,
            std_ddof=advantage.std_ddof,
            eps=advantage.eps,
            tie_margin=margin,
            penalties=penalties,
        )
    else:
        trained = rewards + penalties
        by_rollout = against(trained, _baselines(batch, trained, sizes, memory))
    ties = tied(rewards, sizes, tie_margin=margin).tolist()
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


def _baselines(
    batch: Sequence[Siblings], rewards: Tensor, sizes: Tensor, memory: BaselineMemory | None
) -> Tensor:
    """[N] -> [N]"""
    if memory is None:
        return shrunk_baselines(rewards, sizes)
    totals, counts = memory.of([siblings[0].prompt.index for siblings in batch])
    return memory_baselines(rewards, sizes, totals=totals, counts=counts)


def as_first_drawn(
    groups: Sequence[Group], *, group_size: int, advantage: Advantage
) -> list[Group]:
    """Return groups with only their first `group_size` siblings: an unbiased sample of the policy.

    Whether a group gets more completions depends on the rewards of its first ones, so a mean over
    all siblings would be biased.
    """
    first = [group.rollouts[:group_size] for group in groups]
    ties = find_ties(first, advantage=advantage)
    return [
        Group(group.prompt, siblings, group.advantages[:group_size], tie)
        for group, siblings, tie in zip(groups, first, ties, strict=True)
    ]


def find_ties(batch: Sequence[Siblings], *, advantage: Advantage) -> list[bool]:
    if not batch:
        return []
    return tied(*_rewards(batch, advantage), tie_margin=_margin(batch, advantage)).tolist()


def _margin(batch: Sequence[Siblings], advantage: Advantage) -> float:
    """Return the margin of ties.  Before a normalised sum it has been applied to each reward; the
    sum's own margin is its rounding, since rewards that disagree can cancel out."""
    if advantage.aggregation == "sum_then_normalize":
        return advantage.tie_margin
    return ROUNDING * sum(map(abs, batch[0][0].score.weights.values()))


def _rewards(batch: Sequence[Siblings], advantage: Advantage) -> tuple[Tensor, Tensor]:
    """Return the rewards to compare [N] of all rollouts, group after group, and the groups' sizes
    [P]."""
    scores = [rollout.score for siblings in batch for rollout in siblings]
    sizes = torch.tensor([len(siblings) for siblings in batch])
    if advantage.aggregation == "sum_then_normalize":
        return _of_all([score.total for score in scores]), sizes
    weights = scores[0].weights
    summed = normalised_sum(
        torch.stack([_of_all([score.parts[name] for score in scores]) for name in weights]),
        _of_all(list(weights.values())),
        sizes,
        std_ddof=advantage.std_ddof,
        eps=advantage.eps,
        tie_margin=advantage.tie_margin,
    )
    return summed, sizes


def _of_all(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)  # [N]
