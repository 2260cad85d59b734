"""The task of the comparisons: steps of pairs of tiny-arithmetic, in the device's precision."""

import os
from pathlib import Path

from bench.trainer.task import ENDLESS
from grpo.spec.job import JobSpec
from grpo.spec.resolve import resolve
from tests.gpu.part import Setting


def step_spec(setting: Setting) -> JobSpec:
    """Return an endless run: 256 pairs a step, as in the paper; a few on the CPU."""
    return resolve(
        {
            "preset": "2-grpo",
            "model": {"source": "tiny-arithmetic"},
            "data": {"train": "arithmetic", "max_prompt_tokens": 32},
            "rewards": [{"type": "exact", "after": "#"}],
            "algorithm": {
                "prompts_per_step": setting.size(256, 16),
                # TRL corrects nothing here either.
                "sampler_correction": {"mode": "none"},
            },
            "rollout": {"max_tokens": 64},
            "checkpoints": {"every_steps": ENDLESS},
            "budget": {"epochs": ENDLESS, "max_steps": ENDLESS},
        }
    )


def gsm8k() -> Path | None:
    """Return GSM8K's training rows, if their folder is named."""
    named = os.environ.get("DUET_GSM8K")
    path = Path(named) / "train.jsonl" if named else None
    return path if path is not None and path.is_file() else None
