"""Weight synchronization from the policy to the engine, which share the memory of one GPU in turns.

The order of a step: rollouts → `to_trainer` → updates → `to_engine` → rollouts.  If an update
raises, the engine stays asleep, and can be closed in that state.
"""

from collections.abc import Collection

import torch

from grpo.models.policy import Policy
from grpo.rollout.engines.engine import RolloutEngine
from grpo.rollout.weight_proof import prove_weights_took


def to_trainer(engine: RolloutEngine) -> None:
    """Put the engine to sleep, which frees its GPU memory for the trainer."""
    engine.sleep()


def to_engine(
    engine: RolloutEngine, policy: Policy, *, compared: Collection[str] | None = None
) -> None:
    """Wake the engine with the policy's weights; an engine that is already awake loads them, too.

    `compared`: the names of the weights to compare afterwards; None: all.

    An engine maps memory outside torch's allocator, so torch's cached blocks are freed before the
    weights, and again before the cache, which is the largest allocation.

    Raises:
        RunError: `weights_not_synced`.
    """
    _free_cached_blocks()
    engine.wake_weights()
    weights = policy.weights()
    engine.load_weights(weights)
    prove_weights_took(engine, weights, names=compared)
    _free_cached_blocks()
    engine.wake_cache()


def _free_cached_blocks() -> None:
    torch.cuda.empty_cache()  # does nothing without a GPU
