"""The losses, one row per loss.

R completions of T tokens in total are concatenated.  gspo is grpo over the ratios of whole
completions, which `Algorithm.ratio_level` chooses.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from grpo.spec.algorithm import LossName


@dataclass(frozen=True)
class Bounds:
    """The range of ratios that a loss does not clip."""

    lowest: float
    highest: float


@dataclass(frozen=True)
class Counts:
    """The quantities that a minibatch's loss can be averaged over.

    As in TRL, completions that `truncated: mask` leaves out count as completions but not as tokens.
    """

    num_completions: int
    num_tokens: int
    step_tokens: float  # of the whole step, divided by its number of minibatches
    max_tokens: int  # of a completion


TokenLoss = Callable[[Tensor, Tensor, Tensor, Bounds, float | None], Tensor]
"""(ratios, policy_logprobs, advantages, bounds, delta) -> losses, each tensor [T]"""


@dataclass(frozen=True)
class Loss:
    """One loss: the sum of its token losses divided by its denominator, to be minimized."""

    token_loss: TokenLoss
    bounds: Callable[[float, float], Bounds]  # of the ratios, from clip_low and clip_high
    averages_completions: bool  # each completion over its tokens first
    denominator: Callable[[Counts], float]


def clipped(
    ratios: Tensor, _: Tensor, advantages: Tensor, bounds: Bounds, delta: float | None
) -> Tensor:
    """-min(min(ratio, delta) * A, clip(ratio, lowest, highest) * A)

    (arXiv 2402.03300, eq. 3; `delta`, which acts where A < 0: arXiv 2505.07291.)
    """
    clipped_ratios = ratios.clamp(bounds.lowest, bounds.highest)
    if delta is not None:
        ratios = ratios.clamp(max=delta)
    return -torch.minimum(ratios * advantages, clipped_ratios * advantages)


def weighted(
    ratios: Tensor, policy_logprobs: Tensor, advantages: Tensor, bounds: Bounds, _: float | None
) -> Tensor:
    """-min(ratio, highest) * A * policy_logprob, the ratio a constant (arXiv 2506.13585, eq. 4):
    every token keeps its gradient."""
    return -ratios.clamp(max=bounds.highest).detach() * advantages * policy_logprobs


def around_one(clip_low: float, clip_high: float) -> Bounds:
    """1 - clip_low to 1 + clip_high."""
    return Bounds(1 - clip_low, 1 + clip_high)


def from_above(_: float, clip_high: float) -> Bounds:
    """Up to clip_high itself."""
    return Bounds(-math.inf, clip_high)


def completions(counts: Counts) -> float:
    return max(1, counts.num_completions)


def minibatch_tokens(counts: Counts) -> float:
    return max(1, counts.num_tokens)


def step_tokens(counts: Counts) -> float:
    return max(1, counts.step_tokens)


def possible_tokens(counts: Counts) -> float:
    return max(1, counts.num_completions) * counts.max_tokens


# fmt: off
LOSSES: Mapping[LossName, Loss] = {
    #           token loss  ratios not clipped  averages completions  denominator
    "grpo":    Loss(clipped,  around_one, True,  completions),       # arXiv 2402.03300
    "gspo":    Loss(clipped,  around_one, True,  completions),       # arXiv 2507.18071
    "bnpo":    Loss(clipped,  around_one, False, minibatch_tokens),  # TRL
    "dapo":    Loss(clipped,  around_one, False, step_tokens),       # arXiv 2503.14476
    "cispo":   Loss(weighted, from_above, False, step_tokens),       # arXiv 2506.13585
    "dr_grpo": Loss(clipped,  around_one, False, possible_tokens),   # arXiv 2503.20783
}
# fmt: on
