"""The policy loss of a minibatch, as defined by its row in `loss_table`.

R completions of T tokens in total are concatenated; `lengths` [R] is the number of tokens of each.
"""

from dataclasses import dataclass

from torch import Tensor

from grpo.algorithm.importance_ratio import importance_ratios
from grpo.algorithm.kl import kl_estimates
from grpo.algorithm.loss_table import LOSSES
from grpo.spec.algorithm import Algorithm, LossName, RatioLevel


def policy_loss(
    algorithm: Algorithm,
    *,
    policy_logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    lengths: Tensor,
    denominator: float,
    reference_logprobs: Tensor | None,
    sampler_weights: Tensor | None,
) -> Tensor:
    """Return 1/D sum_t (sampler_weight_t * token_loss_t + beta * KL_t) / share_t, to be minimized.

    token_loss depends on the loss; share_t is |o_i| if the loss averages each completion first,
    else 1: see `loss_table`.  The caller gives D, the `denominator`.  It counts everything that is
    averaged over, so completions without a gradient may be absent here and still count in D: with D
    = 2 a mixed pair's grpo loss is eq. 14 of arXiv 2510.00977.  The losses of a minibatch's parts,
    computed with its D, add up to the minibatch's loss.

    The KL term is added where `algorithm.kl` puts it in the loss, and needs `reference_logprobs`.
    The sampler correction does not apply to it, as in TRL.

    policy_logprobs, old_logprobs, reference_logprobs, sampler_weights: [T]; advantages: [R];
    lengths: int [R] -> scalar
    """
    ratios = importance_ratios(
        policy_logprobs, old_logprobs, lengths, level=algorithm.ratio_level
    )  # [T]
    loss = LOSSES[algorithm.loss]
    losses = loss.token_loss(
        ratios,
        policy_logprobs,
        advantages.repeat_interleave(lengths),
        loss.bounds(algorithm.clip_low, algorithm.clip_high),
        algorithm.delta,
    )  # [T]
    if sampler_weights is not None:
        losses = losses * sampler_weights
    if algorithm.kl.beta > 0 and algorithm.kl.where == "loss":
        assert reference_logprobs is not None
        losses = losses + algorithm.kl.beta * kl_estimates(
            policy_logprobs, reference_logprobs, estimator=algorithm.kl.estimator
        )
    if loss.averages_completions:
        losses = losses / lengths.repeat_interleave(lengths)  # an empty completion has no tokens
    return losses.sum() / denominator


@dataclass(frozen=True)
class ClipCounts:
    """Counts of clipped ratios: low ones where A < 0, and high ones where A > 0.

    They count tokens, or completions where ratios are per completion.  TRL logs their share of the
    step's tokens, masked completions excluded, or of the step's completions.
    """

    num_low: int
    num_high: int

    def __add__(self, other: "ClipCounts") -> "ClipCounts":
        return ClipCounts(self.num_low + other.num_low, self.num_high + other.num_high)


def count_clipped(
    *,
    policy_logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    lengths: Tensor,
    clip_low: float,
    clip_high: float,
    loss: LossName,
    level: RatioLevel,
) -> ClipCounts:
    """Count the ratios below the loss's lower bound where A < 0, and above its upper where A > 0.

    Shapes as in `policy_loss`.
    """
    ratios = importance_ratios(policy_logprobs, old_logprobs, lengths, level=level)  # [T]
    if level == "sequence":
        firsts = (lengths.cumsum(0) - lengths)[lengths > 0]
        ratios, of_ratios = ratios[firsts], advantages[lengths > 0]  # one per completion
    else:
        of_ratios = advantages.repeat_interleave(lengths)  # [T]
    bounds = LOSSES[loss].bounds(clip_low, clip_high)
    low = (ratios < bounds.lowest) & (of_ratios < 0)
    high = (ratios > bounds.highest) & (of_ratios > 0)
    return ClipCounts(int(low.sum()), int(high.sum()))
