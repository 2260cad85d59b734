"""The proof that the engine took the policy's weights: they agree on what was drawn."""

from typing import NoReturn

from torch import Tensor

from grpo.errors import RunError
from grpo.models.policy import Precision

# Mean |policy_logprob - sampler_logprob| a token.  With the same weights it is below 1e-5 in
# float32 and some 0.005 in bfloat16, where engine and trainer round differently; a head that was
# left behind after one small update gives 0.015 in float32.
LARGEST_MEAN_GAP: dict[Precision, float] = {"float32": 0.002, "bfloat16": 0.05}


def check_weights_took(logprob_gaps: Tensor, *, precision: Precision) -> None:
    """Compare |policy - sampler| logprobs [T], from before the step's first update.

    Raises:
        RunError: `weights_not_synced`.
    """
    bound = LARGEST_MEAN_GAP[precision]
    if len(logprob_gaps) == 0:
        return  # only ties: nothing was learnt from
    mean = logprob_gaps.mean().item()
    if not mean <= bound:  # NaN is no agreement either
        _refuse(mean, bound)


def _refuse(mean: float, bound: float) -> NoReturn:
    raise RunError(
        "weights_not_synced",
        f"the rollout engine and the policy differ by {mean:.4f} nats a token, more than {bound}: "
        "the engine samples from other weights than those that are trained",
        hint="Try rollout.engine: transformers; if that works, report the model's architecture.",
    )
