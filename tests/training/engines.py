"""Rollout engines on small models, and updates of their weights."""

from pathlib import Path

import torch
from torch.nn import Module

from grpo.models.locate import open_folder
from grpo.rollout.engines.engine import RolloutEngine
from grpo.rollout.engines.start import start_engine
from grpo.spec.rollout import EngineName


def started_engine(
    folder: Path, name: EngineName = "vllm", *, dtype: str = "float32", max_batch: int = 16
) -> RolloutEngine:
    """Start an engine with a folder's model and tokenizer."""
    return start_engine(
        name,
        model_folder=folder,
        tokenizer=open_folder(folder).load_tokenizer(),
        dtype=dtype,
        max_model_tokens=32,
        max_batch=max_batch,
        gpu_memory_fraction=0.3,
    )


def move(model: Module) -> None:
    """Change every weight a little: an update, in which each number moves."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.05 + 0.05 * torch.rand_like(weight))
