"""Gradient checkpointing: recomputing activations in the backward pass to save memory."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from grpo.errors import RunError


def recompute_activations(model: PreTrainedModel) -> None:
    """Keep only the input of each of the model's layers from the forward pass.

    transformers' own switch works in training mode only, which also enables dropout.  Here the
    layers that it marks are wrapped with the same torch function; the model stays in evaluation
    mode, so no random numbers are drawn and no generator state has to be restored.

    Raises:
        RunError: `model_unusable`, if the architecture marks no layer.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, GradientCheckpointingLayer)]
    if not layers:
        raise RunError(
            "model_unusable",
            f"{model.config.model_type} models have no layers to checkpoint",
            hint="Set model.gradient_checkpointing to false.",
        )
    for layer in layers:
        layer.forward = partial(_checkpointed, layer.forward)


def _checkpointed(forward: Callable[..., Any], *inputs: Any, **named: Any) -> Any:  # noqa: ANN401
    """Call a layer, and forget autocast's copies of its weights: the backward pass makes its own,
    and until the end of the forward pass those of all layers would be half a model."""
    output = checkpoint(forward, *inputs, use_reentrant=False, preserve_rng_state=False, **named)
    torch.clear_autocast_cache()
    return output
