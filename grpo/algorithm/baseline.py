"""Baselines from more than a completion's own group, against which its reward is compared.

N completions in P groups of k are concatenated; `sizes` [P] is k for each.  A baseline does not
depend on its own completion's reward, so that the gradient has no bias: what comes from other
groups is computed without the completion's own.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

ROUNDING = 1e-9
DECAY = 0.9
"""Factor by which a prompt's memory decays at each visit; SPO adapts it between 0.875 and 0.96 to
the policy's change (arXiv 2509.13232)."""
PRIOR_WEIGHT = 1.0
"""Number of completions that the batch's mean counts as, in addition to a prompt's own."""


def shrunk_baselines(rewards: Tensor, sizes: Tensor) -> Tensor:
    """b = (1 - lambda) * siblings' mean + lambda * other groups' mean (arXiv 2511.03710).

    lambda = v / (v + tau²): v is the variance of a siblings' mean about its prompt's pass rate,
    tau² that of the pass rates from prompt to prompt.  With w the variance within a group and V
    that of the groups' means, both over the other groups, v = w / (k - 1) and
    tau² = max(0, V - w / k).  Fewer than three groups: lambda = 0.

    rewards: float64 [N]; sizes: int [P] -> float64 [N]
    """
    if len(sizes) < 3:
        return _siblings_means(rewards, sizes)
    num_others = len(sizes) - 1
    means = torch.segment_reduce(rewards, "mean", lengths=sizes)  # [P]
    centred = rewards - means.repeat_interleave(sizes)
    within = torch.segment_reduce(centred.square(), "sum", lengths=sizes) / (sizes - 1)  # [P]
    others = _means_of_others(means)  # [P]
    # The squares about the mean of all are those about the others' mean and the distance of both.
    squares = (means - means.mean()).square()
    about_others = squares.sum() - squares - num_others * (means.mean() - others).square()
    w = _means_of_others(within)  # [P]
    v = w / (sizes - 1)
    tau_squared = (about_others / (num_others - 1) - w / sizes).clamp(min=0)
    total = v + tau_squared
    shrinkage = torch.where(total > ROUNDING, v / total.clamp(min=ROUNDING), 0.0)
    return torch.lerp(
        _siblings_means(rewards, sizes),
        others.repeat_interleave(sizes),
        shrinkage.repeat_interleave(sizes),
    )


def memory_baselines(rewards: Tensor, sizes: Tensor, *, totals: Tensor, counts: Tensor) -> Tensor:
    """b = (w m + a + siblings' sum) / (w + n + k - 1), after SPO (arXiv 2509.13232), with siblings.

    `totals` a and `counts` n [P] are the prompts' memories from before this step, m is the mean of
    the other groups and w PRIOR_WEIGHT; a single group has no m, and w = 0.

    rewards: float64 [N]; sizes: int [P] -> float64 [N]
    """
    sums = torch.segment_reduce(rewards, "sum", lengths=sizes)  # [P]
    weight = PRIOR_WEIGHT if len(sizes) > 1 else 0.0
    prior = _means_of_others(sums / sizes) if weight else torch.zeros_like(sums)
    numerator = (weight * prior + totals + sums).repeat_interleave(sizes) - rewards
    return numerator / (weight + counts + sizes - 1).repeat_interleave(sizes)


def remembered(total: float, count: float, rewards: Sequence[float]) -> tuple[float, float]:
    """a <- rho a + sum of r, n <- rho n + k (arXiv 2509.13232), rho DECAY."""
    return DECAY * total + sum(rewards), DECAY * count + len(rewards)


def against(rewards: Tensor, baselines: Tensor) -> Tensor:
    """A = r - b, exactly 0 up to rounding: [N]"""
    advantages = rewards - baselines
    size = torch.maximum(rewards.abs(), baselines.abs()).clamp(min=1.0)
    return torch.where(advantages.abs() <= ROUNDING * size, 0.0, advantages)


def _siblings_means(rewards: Tensor, sizes: Tensor) -> Tensor:
    """The mean of a completion's siblings, without its own reward: [N]"""
    sums = torch.segment_reduce(rewards, "sum", lengths=sizes)
    return (sums.repeat_interleave(sizes) - rewards) / (sizes - 1).repeat_interleave(sizes)


def _means_of_others(values: Tensor) -> Tensor:
    """For each of [P] values the mean of all others."""
    return (values.sum() - values) / (len(values) - 1)
