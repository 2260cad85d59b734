"""A run resumed from any of its checkpoints ends with the same bits, in every mode."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grpo.checkpoint.checkpoint import STATE, read_state
from grpo.spec.resolve import merge
from tests.training.runs import (
    file_sha256s,
    finish_run,
    make_tiny_model,
    records,
    run_here,
    small_spec,
    timeless,
    write_sums,
)

pytestmark = pytest.mark.filterwarnings("ignore")

NUM_STEPS = 4
EVERY_STEP: dict[str, Any] = {
    "checkpoints": {"every_steps": 1},
    "evaluation": {"every_steps": 2},
    "budget": {"max_steps": NUM_STEPS},
}
RESAMPLE = {"algorithm": {"group_size": 2, "ties": {"policy": "resample"}}}
GROW = {"algorithm": {"group_size": 2, "ties": {"policy": "grow", "grow_limit": 7}}}
EPOCHS = {"algorithm": {"minibatches": 3, "epochs_per_batch": 2, "loss": "dapo"}}
BFLOAT16 = {"model": {"dtype": "bfloat16"}}
LORA = {"model": {"lora": {"rank": 4, "alpha": 8}}}
MODES: dict[str, dict[str, Any]] = {
    "resample": RESAMPLE,
    "grow": GROW,
    "minibatches and epochs": EPOCHS,
    "lora": LORA,
    "reference in the loss": {"algorithm": {"kl": {"beta": 0.1}, "ties": {"policy": "keep"}}},
    "synced reference": {"algorithm": {"kl": {"beta": 0.1, "sync_every_steps": 2}}},
    "reference in the reward": {
        "algorithm": {"kl": {"beta": 0.01, "where": "reward", "estimator": "k1"}}
    },
    "lora with a reference": merge(LORA, {"algorithm": {"kl": {"beta": 0.1}}}),
    "schedule and fused": {
        "optimizer": {"schedule": "cosine", "name": "adamw_fused", "weight_decay": 0.1}
    },
    "correction and sequence ratios": {
        "algorithm": {"loss": "gspo", "sampler_correction": {"level": "sequence"}}
    },
    "shaped": {"algorithm": {"truncated": "shape", "overlong": {"buffer_tokens": 2}}},
    "shrunk": {"algorithm": {"group_size": 2, "advantage": {"baseline": "shrunk"}}},
    "memory": {"algorithm": {"group_size": 2, "advantage": {"baseline": "memory"}}},
    "memory of groups": {"algorithm": {"group_size": 3, "advantage": {"baseline": "memory"}}},
    "stop strings": {"rollout": {"stop": ["3"]}},
}
IN_BFLOAT16 = {
    "bfloat16": BFLOAT16,
    "lora in bfloat16": merge(LORA, BFLOAT16),
}
WITH_VLLM = {
    "resample, minibatches, epochs": merge(EPOCHS, RESAMPLE),
    "grow, lora": merge(GROW, LORA),
    "lora in bfloat16": merge(LORA, BFLOAT16),
}


def same_end(resumed: Path, unbroken: Path, *, from_step: int) -> None:
    """Assert equal files (weights, optimizer, spec), state (except time) and numbers."""
    ends = [run / f"checkpoints/step-{NUM_STEPS:06d}" for run in (resumed, unbroken)]
    files = [file_sha256s(end) for end in ends]
    assert all(hashes.pop(STATE) for hashes in files)
    assert files[0] == files[1]
    states = [replace(read_state(end), training_seconds=0, gpu_seconds=0) for end in ends]
    assert states[0] == states[1]
    steps = [
        [timeless(r["payload"]) for r in records(run, "metric") if r["step"] > from_step]
        for run in (resumed, unbroken)
    ]
    assert len(steps[0]) == NUM_STEPS - from_step
    assert steps[0] == steps[1]
    # No warning of a difference: on a machine that emulates bfloat16, both warn of that.
    messages = [
        [record["payload"] for record in records(run, "message")] for run in (resumed, unbroken)
    ]
    assert messages[0] == messages[1]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    return make_tiny_model(folder / "model"), write_sums(folder / "sums.jsonl")


@pytest.mark.parametrize(
    "mode", [*MODES, *(pytest.param(mode, marks=pytest.mark.nightly) for mode in IN_BFLOAT16)]
)
def test_with_transformers_from_every_step(inputs: tuple[Path, Path], mode: str, tmp_path: Path):
    spec = small_spec(*inputs, **merge(EVERY_STEP, {**MODES, **IN_BFLOAT16}[mode]))
    unbroken = run_here(spec, tmp_path / "unbroken")
    for step in range(1, NUM_STEPS):
        checkpoint = unbroken / f"checkpoints/step-{step:06d}"
        resumed = run_here(spec, tmp_path / f"from-{step}", resume_from=checkpoint)
        same_end(resumed, unbroken, from_step=step)


@pytest.mark.nightly
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "mode",
    [
        "resample, minibatches, epochs",
        "grow, lora",
        "lora in bfloat16",
    ],
)
def test_with_vllm(inputs: tuple[Path, Path], mode: str, tmp_path: Path):
    written = merge(EVERY_STEP, merge(WITH_VLLM[mode], {"rollout": {"engine": "vllm"}}))
    spec = small_spec(*inputs, **written)
    unbroken = finish_run(spec, tmp_path / "unbroken")
    checkpoint = unbroken / "checkpoints/step-000002"
    resumed = finish_run(spec, tmp_path / "resumed", "--resume-from", str(checkpoint))
    same_end(resumed, unbroken, from_step=2)
