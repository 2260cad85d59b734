"""The dtype in which a model's weights were published, recorded beside float32 weights."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

SOURCE_DTYPE = "duet_source_dtype"  # in config.json, if it differs from the weights' dtype
NAMES = ("float32", "bfloat16", "float16")


def source_dtype(folder: Path) -> str:
    """Return the dtype of the source model, whatever dtype the folder's weights are saved in."""
    config = json.loads((folder / "config.json").read_text())
    for name in (config.get(SOURCE_DTYPE), config.get("dtype"), config.get("torch_dtype")):
        if name in NAMES:
            return name
    return "float32"


def keep_source_dtype(model: PreTrainedModel, folder: Path) -> None:
    """Record the source's dtype in the model's config, unless it is float32."""
    dtype = source_dtype(folder)
    if dtype != "float32":
        setattr(model.config, SOURCE_DTYPE, dtype)


def save_model(model: PreTrainedModel, folder: Path, *, dtype: str) -> None:
    """Save a model folder with weights in the given dtype, without changing the model itself."""
    if dtype == "float32":
        model.save_pretrained(folder)
        return
    weights = _cast(model.state_dict(), getattr(torch, dtype))
    model.save_pretrained(folder, state_dict=weights)
    path = folder / "config.json"  # states the model's dtype, not the saved weights'
    config = json.loads(path.read_text()) | {"dtype": dtype}
    config.pop(SOURCE_DTYPE, None)
    path.write_text(json.dumps(config, indent=2))


def _cast(weights: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Cast the weights; tensors that share memory, such as a tied head, still share it."""
    casts: dict[int, Tensor] = {}
    for weight in weights.values():
        is_float = weight.is_floating_point()
        casts.setdefault(weight.data_ptr(), weight.to(dtype) if is_float else weight)
    return {name: casts[weight.data_ptr()] for name, weight in weights.items()}
