"""Weight synchronization from the policy to the engine, its verification, and the turns that both
take with the memory of one GPU.

The order of a step: rollouts → `to_trainer` → updates → `to_engine` → rollouts.  An update that
raises leaves the engine asleep, in which state it can be closed.
"""

from typing import NoReturn

import torch
from torch import Tensor

from grpo.errors import RunError
from grpo.models.policy import Policy, Precision
from grpo.rollout.engines.engine import RolloutEngine

# Mean |policy_logprob - sampler_logprob| per token.  With the same weights it is below 1e-5 in
# float32 and some 0.005 in bfloat16, where engine and trainer round differently; a head that
# missed one small update gives 0.015 in float32.
LARGEST_MEAN_GAP: dict[Precision, float] = {"float32": 0.002, "bfloat16": 0.05}


def to_trainer(engine: RolloutEngine) -> None:
    """Put the engine to sleep, which frees its GPU memory for the trainer."""
    engine.sleep()


def to_engine(engine: RolloutEngine, policy: Policy) -> None:
    """Wake the engine with the policy's weights; an engine that is awake loads them, too.

    An engine maps memory outside torch's allocator, so torch's cached blocks are freed before the
    weights, and again before the cache, which is the largest allocation.
    """
    _free_cached_blocks()
    engine.wake_weights()
    engine.load_weights(policy.weights())
    _free_cached_blocks()
    engine.wake_cache()


def _free_cached_blocks() -> None:
    torch.cuda.empty_cache()  # does nothing without a GPU


def check_weights_took(logprob_gaps: Tensor, *, precision: Precision) -> None:
    """Compare |policy - sampler| logprobs [T], from before the step's first update.

    Raises:
        RunError: `weights_not_synced`.
    """
    bound = LARGEST_MEAN_GAP[precision]
    if len(logprob_gaps) == 0:
        return  # only ties: no update
    mean = logprob_gaps.mean().item()
    if not mean <= bound:  # NaN is no agreement either
        _refuse(mean, bound)


def _refuse(mean: float, bound: float) -> NoReturn:
    raise RunError(
        "weights_not_synced",
        f"the rollout engine's and the policy's logprobs differ by {mean:.4f} nats per token, more "
        f"than {bound}: the engine samples with weights that differ from the policy's",
        hint="Try rollout.engine: transformers; if that works, report the model's architecture.",
    )
