"""The gap between the engine's and the policy's logprobs, which should be rounding only."""

from dataclasses import dataclass

from grpo.models.policy import Precision


@dataclass(frozen=True)
class _Rounding:
    """The largest mean |policy - sampler| logprob per token that rounding explains [nats]."""

    at_least: float
    per_nat: float  # of entropy: the logprob of an almost certain token hardly changes


# Measured with equal weights: below 1e-5 in float32.  In bfloat16: 0.052 for a model of 135 M
# weights at an entropy of 2.2, and 0.059 for one of 2.4 M, whose entropy is about 0.1.
ROUNDING: dict[Precision, _Rounding] = {
    "float32": _Rounding(at_least=1e-4, per_nat=1e-3),
    "bfloat16": _Rounding(at_least=0.1, per_nat=0.05),
    "float16": _Rounding(at_least=0.1 / 8, per_nat=0.05 / 8),  # three more bits; not measured
}


def large_gap(mean_gap: float, *, entropy: float, precision: Precision) -> str | None:
    """Return a warning if the mean gap of a step's tokens is larger than rounding explains.

    `entropy`: the mean over the same tokens' distributions.
    """
    rounding = ROUNDING[precision]
    bound = rounding.at_least + rounding.per_nat * entropy
    if mean_gap <= bound:
        return None
    return (
        f"the rollout engine's and the policy's logprobs differ by {mean_gap:.4f} nats per token, "
        f"where rounding in {precision} explains {bound:.4f} at an entropy of {entropy:.2f}: their "
        "weights are equal, so they compute differently; see algorithm.sampler_correction"
    )
