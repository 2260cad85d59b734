"""Verification of a weight sync: the engine's weights equal the policy's, bit for bit in its dtype.

Each engine reads its own weights back (`RolloutEngine.stale_weights`).  A small model is compared
completely at every sync.  For a large one, a random sample of layers is compared in each step, and
the complete model at the start of a run and every `ALL_EVERY_STEPS` steps.
"""

import random
from collections.abc import Collection, Mapping
from itertools import accumulate

import torch
from torch import Tensor

from grpo.errors import RunError
from grpo.models.layer_names import by_layer
from grpo.rollout.engines.engine import RolloutEngine
from grpo.seeds import derive_seed

ALL_EVERY_STEPS = 16
SAMPLED_ELEMENTS = 2**25  # per step: layers are drawn until they hold this many
MOST_NAMED = 5


def prove_weights_took(
    engine: RolloutEngine, weights: Mapping[str, Tensor], *, names: Collection[str] | None
) -> None:
    """Compare the weights that were loaded with the weights that the engine computes with.

    `names`: the weights to compare; None: all.

    Raises:
        RunError: `weights_not_synced`, naming the weights that differ.
    """
    stale = engine.stale_weights(weights, names=names)
    if not stale:
        return
    more = f" and {len(stale) - MOST_NAMED} more" if len(stale) > MOST_NAMED else ""
    raise RunError(
        "weights_not_synced",
        f"after a sync the rollout engine {engine.name!r} holds weights that differ from the "
        f"policy's: {', '.join(stale[:MOST_NAMED])}{more}",
        hint="Try rollout.engine: transformers; if that works, report the model's architecture.",
    )


def weights_to_compare(
    shapes: Mapping[str, torch.Size], *, seed: int, step: int
) -> list[str] | None:
    """Return the names of the weights of layers drawn for the step; None: all, every
    `ALL_EVERY_STEPS` steps or if the model is small.  `shapes`: the shapes of all weights."""
    if step % ALL_EVERY_STEPS == 0:
        return None
    layers = list(by_layer(shapes).values())
    random.Random(derive_seed(seed, "weight_proof", step)).shuffle(layers)
    sizes = accumulate(sum(shapes[name].numel() for name in layer) for layer in layers)
    for num_drawn, size in enumerate(sizes, start=1):
        if size >= SAMPLED_ELEMENTS and num_drawn < len(layers):
            return [name for layer in layers[:num_drawn] for name in layer]
    return None
