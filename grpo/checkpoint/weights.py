"""Tensor and settings files of a checkpoint."""

import json
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file

from grpo.checkpoint.checkpoint import OPTIMIZER, REFERENCE, SPEC
from grpo.learning.optimizer import optimizer_tensors
from grpo.models.dtype import SOURCE_DTYPE, save_model
from grpo.models.lora import write_adapter
from grpo.parts import Parts
from grpo.spec.job import JobSpec

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


def write_model_folder(folder: Path, parts: Parts, spec: JobSpec) -> None:
    """Write a Hugging Face model folder in the dtype of `checkpoints.dtype`, or peft's adapter
    folder where an adapter is trained, with the optimizer's state, a renewed reference and the
    spec beside it."""
    policy = parts.policy
    if policy.adapter is None:
        source = getattr(policy.model.config, SOURCE_DTYPE, "float32")
        dtype = source if spec.checkpoints.dtype == "source" else "float32"
        save_model(policy.model, folder, dtype=dtype)
    else:
        write_adapter(folder, policy.adapter, spec.model)
    parts.tokenizer.save_pretrained(folder)
    save_file(optimizer_tensors(parts.optimizer, policy.model), folder / OPTIMIZER)
    reference = parts.reference.tensors() if parts.reference is not None else {}
    if reference:
        save_file(reference, folder / REFERENCE)
    (folder / SPEC).write_text(spec.model_dump_json(indent=1), encoding="utf-8")
    if (folder / WEIGHTS).exists():
        _write_index(folder)


def _write_index(folder: Path) -> None:
    """Write the index of the weights: without one, vLLM reads every *.safetensors file as weights,
    including the optimizer's."""
    with safe_open(folder / WEIGHTS, framework="pt") as weights:
        weight_map = dict.fromkeys(weights.keys(), WEIGHTS)
    total_size = (folder / WEIGHTS).stat().st_size
    index = {"metadata": {"total_size": total_size}, "weight_map": weight_map}
    (folder / INDEX).write_text(json.dumps(index, indent=1))
