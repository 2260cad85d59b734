"""Importance weights that correct for an engine whose logprobs differ from the trainer's."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from grpo.algorithm.importance_ratio import LARGEST_LOG_RATIO, completion_sums
from grpo.spec.algorithm import SamplerCorrection


@dataclass(frozen=True)
class SamplerRatios:
    """Statistics of exp(policy - sampler logprob), before truncation or masking.

    One per token or one per completion, depending on the correction's level.  The statistics of
    several batches are added up, beginning with `SamplerRatios()`.
    """

    num: int = 0
    num_below: int = 0  # below clip_min
    num_above: int = 0  # above clip_max
    sum: float = 0.0
    min: float = math.inf
    max: float = -math.inf

    def __add__(self, other: "SamplerRatios") -> "SamplerRatios":
        return SamplerRatios(
            num=self.num + other.num,
            num_below=self.num_below + other.num_below,
            num_above=self.num_above + other.num_above,
            sum=self.sum + other.sum,
            min=min(self.min, other.min),
            max=max(self.max, other.max),
        )


@dataclass(frozen=True)
class CorrectionWeights:
    """The factor of each token's loss, and the ratios that it comes from."""

    weights: Tensor  # [T], without a gradient
    ratios: SamplerRatios


def sampler_weights(
    *,
    policy_logprobs: Tensor,
    sampler_logprobs: Tensor,
    lengths: Tensor,
    correction: SamplerCorrection,
) -> CorrectionWeights:
    """Return exp(policy - sampler logprob), truncated to the bounds (TIS) or 0 outside them.

    The policy's logprobs must be from before any update: the engine had the same weights.  At the
    level "sequence" a ratio is the product over a completion's tokens, as in TRL.

    policy_logprobs, sampler_logprobs: [T]; lengths: int [R]
    """
    log_ratios = policy_logprobs.detach() - sampler_logprobs  # [T]
    if correction.level == "sequence":
        log_ratios = completion_sums(log_ratios, lengths)  # [R]
    ratios = log_ratios.clamp(max=LARGEST_LOG_RATIO).exp()  # [T] or [R]
    below = ratios < (correction.clip_min or 0)
    above = ratios > correction.clip_max
    if correction.mode == "truncate":
        weights = ratios.clamp(min=correction.clip_min, max=correction.clip_max)
    else:
        weights = ratios.masked_fill(below | above, 0)
    if correction.level == "sequence":
        weights = weights.repeat_interleave(lengths)  # [T]
    return CorrectionWeights(weights, _describe(ratios, below=below, above=above))


def _describe(ratios: Tensor, *, below: Tensor, above: Tensor) -> SamplerRatios:
    if not ratios.numel():
        return SamplerRatios()
    lowest, highest = torch.aminmax(ratios)
    return SamplerRatios(
        num=ratios.numel(),
        num_below=int(below.sum()),
        num_above=int(above.sum()),
        sum=ratios.double().sum().item(),
        min=lowest.item(),
        max=highest.item(),
    )
