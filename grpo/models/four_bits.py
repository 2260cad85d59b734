"""Frozen linear layers in 4 bits (QLoRA, arXiv 2305.14314), by bitsandbytes."""

from importlib.util import find_spec

import torch
from torch import Tensor
from torch.nn import Module
from transformers import BitsAndBytesConfig

from grpo.errors import RunError

REPACKS = "support_avx512bf16_for_cpu"
"""bitsandbytes' attribute of a linear layer."""


def four_bit_config(dtype: torch.dtype) -> BitsAndBytesConfig:
    """Return the settings with which transformers loads all linear layers but the head as NF4 with
    double quantization, multiplied in `dtype`.

    Raises:
        RunError: `model_unusable`: bitsandbytes is not installed.
    """
    if find_spec("bitsandbytes") is None:
        raise RunError(
            "model_unusable",
            "model.lora.base_4bit cannot be used: bitsandbytes is not installed",
            hint="Install duet[gpu], which includes it; or set model.lora.base_4bit to false.",
        )
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def keep_layout(model: Module) -> None:
    """Keep bitsandbytes from repacking weights in place for inference with AVX-512, as it does in a
    forward pass without a gradient: neither training nor `dequantized` reads that layout."""
    for module in model.modules():
        if getattr(module, REPACKS, False):
            setattr(module, REPACKS, False)


def quantized_weights(model: Module) -> dict[str, Tensor]:
    """Return a model's weights in 4 bits, each with its `quant_state`, by name."""
    return {
        name: weight
        for name, weight in model.named_parameters()
        if getattr(weight, "quant_state", None) is not None
    }


def dequantized(weight: Tensor) -> Tensor:
    """Return the numbers that a weight in 4 bits stands for."""
    from bitsandbytes.functional import (  # pyright: ignore[reportMissingImports]
        dequantize_4bit,
    )

    return dequantize_4bit(weight.data, weight.quant_state)  # pyright: ignore[reportAttributeAccessIssue]
