"""The common task: one spec, from which the peers' settings are derived."""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from grpo.builtin.catalogue import MODELS
from grpo.spec.job import JobSpec
from grpo.spec.resolve import resolve

MODEL = "tiny-arithmetic"
ENDLESS = 10**6  # steps


def make_spec(group_size: int) -> JobSpec:
    """Return a spec with the paper's settings for pairs or groups of 16, in float32, endless."""
    return resolve(
        {
            "preset": f"{group_size}-grpo",
            "model": {"source": MODEL, "dtype": "float32"},
            "data": {"train": "arithmetic", "max_prompt_tokens": 32},
            "rewards": [{"type": "exact", "after": "#"}],
            "rollout": {"engine": "vllm", "max_tokens": 64},
            "checkpoints": {"every_steps": ENDLESS},
            "budget": {"epochs": ENDLESS, "max_steps": ENDLESS},
        }
    )


def num_completions(spec: JobSpec) -> int:
    """Return the number of completions per step."""
    return spec.algorithm.prompts_per_step * spec.algorithm.group_size


def write_float32_model(folder: Path) -> None:
    """Save the built-in model for peers, which compute in the dtype that its folder declares."""
    source = MODELS[MODEL].folder
    AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32).save_pretrained(folder)
    AutoTokenizer.from_pretrained(source).save_pretrained(folder)
