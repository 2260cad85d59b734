"""Weights from the policy to the engine, the proof that they arrived, and the turns of both with
the memory of one GPU.

The order of a step: rollouts → `to_trainer` → updates → `to_engine` → rollouts.  An update that
raises leaves the engine asleep, and the engine can be closed so.
"""

from typing import NoReturn

import torch
from torch import Tensor

from grpo.errors import RunError
from grpo.models.policy import Policy, Precision
from grpo.rollout.engines.engine import RolloutEngine

# Mean |policy_logprob - sampler_logprob| a token.  With the same weights it is below 1e-5 in
# float32 and some 0.005 in bfloat16, where engine and trainer round differently; a head that was
# left behind after one small update gives 0.015 in float32.
LARGEST_MEAN_GAP: dict[Precision, float] = {"float32": 0.002, "bfloat16": 0.05}


def to_trainer(engine: RolloutEngine) -> None:
    """Put the engine to sleep: what it held of the accelerator's memory is the trainer's."""
    engine.sleep()


def to_engine(engine: RolloutEngine, policy: Policy) -> None:
    """Wake the engine with the policy's weights in it; one that is awake takes them, too.

    An engine maps memory past torch's allocator, so what torch keeps for later is given back first:
    before the weights, and what loading them took before the cache, the largest piece of all.
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
