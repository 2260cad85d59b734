"""The policy loss: the loss of each token, and its weight.

R completions of T tokens in total are concatenated; `lengths` [R] is the number of tokens of each.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from grpo.algorithm.importance_ratio import importance_ratios
from grpo.algorithm.kl import kl_estimates
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
    """1/D sum_t (sampler_weight_t * token_loss_t + beta * KL_t) / share_t, to be minimised.

    share_t is |o_i| for grpo and gspo, which average each completion first, and 1 for the others.
    D, the `denominator`, is the caller's: completions (grpo, gspo); the minibatch's tokens (bnpo);
    the step's tokens over its number of minibatches (dapo, cispo); completions x max_tokens
    (dr_grpo).  It counts what is averaged over, so completions without a gradient may be missing
    here and still count in D: with D = 2 a mixed pair's grpo loss is eq. 14 of arXiv 2510.00977.
    And the losses of a minibatch's parts, all with its D, add up to the minibatch's.

    The KL term is added where `algorithm.kl` puts it in the loss, and needs `reference_logprobs`.
    The sampler correction does not apply to it, as in TRL.

    policy_logprobs, old_logprobs, reference_logprobs, sampler_weights: [T]; advantages: [R];
    lengths: int [R] -> scalar
    """
    ratios = importance_ratios(
        policy_logprobs, old_logprobs, lengths, level=algorithm.ratio_level
    )  # [T]
    losses = token_losses(
        ratios=ratios,
        policy_logprobs=policy_logprobs,
        advantages=advantages,
        lengths=lengths,
        loss=algorithm.loss,
        clip_low=algorithm.clip_low,
        clip_high=algorithm.clip_high,
        delta=algorithm.delta,
    )  # [T]
    if sampler_weights is not None:
        losses = losses * sampler_weights
    if algorithm.kl.beta > 0 and algorithm.kl.where == "loss":
        assert reference_logprobs is not None
        losses = losses + algorithm.kl.beta * kl_estimates(
            policy_logprobs, reference_logprobs, estimator=algorithm.kl.estimator
        )
    if algorithm.loss in ("grpo", "gspo"):
        losses = losses / lengths.repeat_interleave(lengths)  # an empty completion has no tokens
    return losses.sum() / denominator


def token_losses(
    *,
    ratios: Tensor,
    policy_logprobs: Tensor,
    advantages: Tensor,
    lengths: Tensor,
    loss: LossName,
    clip_low: float,
    clip_high: float,
    delta: float | None,
) -> Tensor:
    """-min(min(ratio, delta) * A, clip(ratio, 1 - low, 1 + high) * A) of each token.

    (arXiv 2402.03300, eq. 3; `delta`, which acts where A < 0: arXiv 2505.07291.)  cispo keeps the
    gradient of every token: -min(ratio, high) * A * policy_logprob, the ratio a constant
    (arXiv 2506.13585, eq. 4).

    ratios, policy_logprobs: [T]; advantages: [R]; lengths: int [R] -> [T]
    """
    token_advantages = advantages.repeat_interleave(lengths)  # [T]
    if loss == "cispo":
        return -ratios.clamp(max=clip_high).detach() * token_advantages * policy_logprobs
    clipped_ratios = ratios.clamp(1 - clip_low, 1 + clip_high)  # [T]
    if delta is not None:
        ratios = ratios.clamp(max=delta)
    return -torch.minimum(ratios * token_advantages, clipped_ratios * token_advantages)


@dataclass(frozen=True)
class ClipCounts:
    """Counts of clipped ratios: low ones where A < 0, and high ones where A > 0.

    Tokens; or completions, where a ratio is a completion's.  What TRL logs is their share in all
    of the step's tokens, without those of masked completions, or in all of its completions.
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
    """Count the ratios below 1 - clip_low where A < 0, and above 1 + clip_high where A > 0.

    cispo has no lower bound, and its upper one is clip_high itself.

    Shapes as in `policy_loss`.
    """
    ratios = importance_ratios(policy_logprobs, old_logprobs, lengths, level=level)  # [T]
    if level == "sequence":
        firsts = (lengths.cumsum(0) - lengths)[lengths > 0]
        ratios, of_ratios = ratios[firsts], advantages[lengths > 0]  # one per completion
    else:
        of_ratios = advantages.repeat_interleave(lengths)  # [T]
    highest = clip_high if loss == "cispo" else 1 + clip_high
    low = (ratios < 1 - clip_low) & (of_ratios < 0) & (loss != "cispo")
    high = (ratios > highest) & (of_ratios > 0)
    return ClipCounts(int(low.sum()), int(high.sum()))
