"""The clipped policy loss of GRPO, over the tokens of completions laid end to end.

R completions of T tokens in all; `lengths` [R] says where each one ends.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

# exp(20) is beyond any clip.  Without the bound a ratio overflows to infinity, and the gradient of
# the branch that min() did not choose becomes 0 * inf = NaN.
LARGEST_LOG_RATIO = 20.0


def grpo_loss(
    *,
    policy_logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    lengths: Tensor,
    denominator: int,
    clip_low: float,
    clip_high: float,
) -> Tensor:
    """-1/D sum_i 1/|o_i| sum_t min(ratio * A_i, clip(ratio, 1 - low, 1 + high) * A_i).

    ratio = exp(policy_logprob - old_logprob) (arXiv 2402.03300, eq. 3).  D is the number of
    completions averaged over.  Completions with advantage 0 add nothing, so they may be missing
    here and still count in D: with D = 2 a mixed pair's loss is eq. 14 of arXiv 2510.00977.

    policy_logprobs, old_logprobs: [T]; advantages: [R]; lengths: int [R] -> scalar
    """
    ratios = policy_ratios(policy_logprobs, old_logprobs)  # [T]
    clipped_ratios = ratios.clamp(1 - clip_low, 1 + clip_high)  # [T]
    token_advantages = advantages.repeat_interleave(lengths)  # [T]
    objective = torch.minimum(ratios * token_advantages, clipped_ratios * token_advantages)  # [T]
    return -(objective / lengths.repeat_interleave(lengths)).sum() / denominator


def policy_ratios(policy_logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
    """exp(policy_logprob - old_logprob), bounded: [T], [T] -> [T]"""
    log_ratios = policy_logprobs - old_logprobs
    return log_ratios.clamp(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO).exp()


@dataclass(frozen=True)
class ClipCounts:
    """Tokens whose gradient the clip took away: below 1 - clip_low, and above 1 + clip_high."""

    num_low: int
    num_high: int


def count_clipped(
    *,
    policy_logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    lengths: Tensor,
    clip_low: float,
    clip_high: float,
) -> ClipCounts:
    """How many tokens are clipped: a low ratio counts where A < 0, a high one where A > 0.

    Shapes as in `grpo_loss`.
    """
    ratios = policy_ratios(policy_logprobs, old_logprobs)  # [T]
    token_advantages = advantages.repeat_interleave(lengths)  # [T]
    low = (ratios < 1 - clip_low) & (token_advantages < 0)  # [T]
    high = (ratios > 1 + clip_high) & (token_advantages > 0)  # [T]
    return ClipCounts(int(low.sum()), int(high.sum()))
