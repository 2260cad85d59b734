"""Every algorithm improves the demo's policy: held-out accuracy rises by a margin."""

from pathlib import Path
from typing import Any

import pytest

from grpo.spec.resolve import merge, resolve
from tests.training.runs import records, run_here

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.filterwarnings("ignore"),  # vLLM's own, as it is imported
]

DAILY = "drop, grpo"
"""The preset's own settings, tested for every change; the others are nightly."""
MARGIN = 0.1  # of accuracy, after 5 steps; the same weights give the same number: same seeds
SETTINGS: dict[str, Any] = {
    "preset": "demo",
    "optimizer": {"learning_rate": 1e-4},  # however many prompts an update has
    "evaluation": {"every_steps": 5, "limit": 128},
    "checkpoints": {"every_steps": 5},
    "budget": {"max_steps": 5},
}
WAYS: dict[str, dict[str, Any]] = {
    DAILY: {},
    "resample": {"algorithm": {"prompts_per_step": 128, "ties": {"policy": "resample"}}},
    "grow": {"algorithm": {"prompts_per_step": 128, "ties": {"policy": "grow", "grow_limit": 6}}},
    "bfloat16": {"model": {"dtype": "bfloat16"}},
    "lora in bfloat16": {
        "model": {"dtype": "bfloat16", "lora": {"rank": 16}},
        "optimizer": {"learning_rate": "auto"},
    },
    "lora": {"model": {"lora": {"rank": 16}}, "optimizer": {"learning_rate": "auto"}},
    "bnpo": {"algorithm": {"loss": "bnpo"}},
    "dr_grpo": {"algorithm": {"loss": "dr_grpo"}},
    "dapo": {"algorithm": {"loss": "dapo"}},
    "cispo": {"algorithm": {"loss": "cispo"}},
    "gspo": {"algorithm": {"loss": "gspo", "clip_low": 0.2, "clip_high": 0.28}},
}


@pytest.mark.parametrize(
    "way",
    [pytest.param(way, marks=[] if way == DAILY else pytest.mark.nightly) for way in WAYS],
)
def test_held_out_accuracy_rises(way: str, tmp_path: Path):
    folder = run_here(resolve(merge(SETTINGS, WAYS[way])), tmp_path / "run")
    evaluations = records(folder, "eval")
    before, after = (record["payload"]["eval/accuracy"] for record in evaluations)
    assert after - before > MARGIN
