"""Importance ratios pi / pi_old, per token or per sequence.

R completions of T tokens in total are concatenated; `lengths` [R] is the number of tokens of each.
"""

import torch
from torch import Tensor

from grpo.spec.algorithm import RatioLevel

# exp(20) is beyond any clip bound.  Without this limit a ratio can overflow to infinity, and the
# gradient of the branch that min() did not choose becomes 0 * inf = NaN.
LARGEST_LOG_RATIO = 20.0


def importance_ratios(
    policy_logprobs: Tensor, old_logprobs: Tensor, lengths: Tensor, *, level: RatioLevel
) -> Tensor:
    """Return exp(policy_logprob - old_logprob) of each token, bounded to avoid overflow.

    At the level "sequence" every token of a completion has the completion's ratio, the geometric
    mean of its tokens' (GSPO, arXiv 2507.18071, eq. 7); the gradient reaches all of its tokens.

    policy_logprobs, old_logprobs: [T]; lengths: int [R] -> [T]
    """
    log_ratios = policy_logprobs - old_logprobs  # [T]
    if level == "sequence":
        means = completion_sums(log_ratios, lengths) / lengths.clamp(min=1)  # [R]
        log_ratios = means.repeat_interleave(lengths)  # [T]
    return log_ratios.clamp(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO).exp()


def completion_sums(of_tokens: Tensor, lengths: Tensor) -> Tensor:
    """Return the sum over each completion's tokens, 0 if it has none: [T] -> [R]"""
    return torch.segment_reduce(of_tokens, "sum", lengths=lengths)
