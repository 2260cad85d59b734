"""Estimators of the KL divergence of the policy from its reference."""

from typing import Literal

from torch import Tensor

from grpo.algorithm.importance_ratio import LARGEST_LOG_RATIO

KlEstimator = Literal["k1", "k2", "k3"]


def kl_estimates(
    policy_logprobs: Tensor, reference_logprobs: Tensor, *, estimator: KlEstimator
) -> Tensor:
    """Return estimates of KL(policy, reference) from each token drawn from the policy.

    With d = reference_logprob - policy_logprob: k1 = -d, k2 = d²/2, k3 = exp(d) - d - 1 (Schulman,
    "Approximating KL divergence", 2020).  k1 and k3 are unbiased, k2 nearly so; k1 is negative for
    some tokens.  As a loss, k1's mean gradient is 0, k2's is that of the KL, and k3's that of
    KL(reference, policy).

    In k3 d is clamped at 20: beyond that a token has a large, finite KL and no gradient.

    policy_logprobs, reference_logprobs: [T] -> [T]
    """
    difference = reference_logprobs - policy_logprobs  # [T]
    if estimator == "k1":
        return -difference
    if estimator == "k2":
        return difference.square() / 2
    bounded = difference.clamp(max=LARGEST_LOG_RATIO)
    return bounded.exp() - bounded - 1
