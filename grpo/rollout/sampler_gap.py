"""The gap between the engine's and the policy's logprobs, which only rounding should leave."""

from grpo.models.policy import Precision

# Mean |policy - sampler| logprob per token and nat of entropy: rounding moves the logprob of a
# token that is drawn for certain hardly at all.  With equal weights some 1e-6 was measured in
# float32, and in bfloat16 0.02 (a model of 135 M) to BF16_TINY (one of 2 M).
LARGEST_GAP_PER_NAT: dict[Precision, float] = {"float32": 1e-3, "bfloat16": 0.2}
LEAST_ENTROPY = 0.1  # [nats]; a narrower distribution is allowed as much


def large_gap(mean_gap: float, *, entropy: float, precision: Precision) -> str | None:
    """Return a warning where the mean gap of a step's tokens is larger than rounding explains.

    `entropy`: the mean of the same tokens' distributions.
    """
    bound = LARGEST_GAP_PER_NAT[precision] * max(entropy, LEAST_ENTROPY)
    if mean_gap <= bound:
        return None
    return (
        f"the rollout engine's and the policy's logprobs differ by {mean_gap:.4f} nats per token, "
        f"where rounding in {precision} explains {bound:.4f} at an entropy of {entropy:.2f}: their "
        "weights are equal, so they compute differently; see algorithm.sampler_correction"
    )
