"""Gradient checkpointing: activations are recomputed in the backward pass, for less memory."""

from functools import partial

from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from grpo.errors import RunError


def recompute_activations(model: PreTrainedModel) -> None:
    """Keep only the input of each of the model's layers from the forward pass.

    transformers' own switch acts in training mode only, where dropout is on as well.  The layers
    that it marks for this are wrapped here by the same function of torch; the model stays in
    evaluation mode, so no random number is drawn and no generator's state has to be restored.

    Raises:
        RunError: `model_unusable`, when the architecture marks no layer.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, GradientCheckpointingLayer)]
    if not layers:
        raise RunError(
            "model_unusable",
            f"{model.config.model_type} models have no layers to checkpoint",
            hint="Set model.gradient_checkpointing to false.",
        )
    for layer in layers:
        layer.forward = partial(
            checkpoint, layer.forward, use_reentrant=False, preserve_rng_state=False
        )
