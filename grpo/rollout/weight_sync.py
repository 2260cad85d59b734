"""Engine and trainer take turns with the memory of one GPU.

The order of a step: rollouts → `to_trainer` → updates → `to_engine` → rollouts.  An update that
raises leaves the engine asleep, and the engine can be closed so.
"""

import torch

from grpo.models.policy import Policy
from grpo.rollout.engines.engine import RolloutEngine


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
