"""Runs that stop early, keep their best, or continue after running out of memory."""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from grpo.assembly import assemble
from grpo.checkpoint.checkpoint import TrainerState, read_state
from grpo.models.policy import Policy
from grpo.models.token_batch import TokenBatch
from grpo.reporting.records import Recorder
from grpo.reporting.reporter import Reporter
from grpo.reporting.run_directory import prepare_run_directory
from grpo.rollout.engines.transformers import TransformersEngine
from grpo.run import run
from grpo.runtime.stop import Stop
from grpo.trainer import Trainer
from tests.training.runs import (
    end_of,
    make_tiny_model,
    records,
    run_here,
    small_spec,
    write_sums,
)

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    return make_tiny_model(folder / "model"), write_sums(folder / "sums.jsonl")


def accuracies(folder: Path) -> dict[int, float]:
    return {
        record["step"]: record["payload"]["eval/accuracy"] for record in records(folder, "eval")
    }


def test_a_target_that_is_reached_ends_the_run_with_a_final_checkpoint(
    inputs: tuple[Path, Path], tmp_path: Path
):
    every_step = {"every_steps": 1, "target": 0.01}
    spec = small_spec(*inputs, evaluation={**every_step, "metric": "eval/pass@2"})
    folder = run_here(spec, tmp_path / "run")
    last = records(folder, "eval")[-1]
    assert last["payload"]["eval/pass@2"] >= 0.01
    assert all(record["payload"]["eval/pass@2"] < 0.01 for record in records(folder, "eval")[:-1])
    (checkpoint,) = [
        record for record in records(folder, "checkpoint") if record["payload"]["final"]
    ]
    assert checkpoint["step"] == last["step"] < 6
    (said,) = records(folder, "message")
    reason = said["payload"]["text"]
    assert reason.startswith("ended early: eval/pass@2 reached")
    assert end_of(folder) == {"outcome": "completed", "error": None, "reason": reason}

    # Continued from there, it has ended still.
    again = run_here(spec, tmp_path / "again", resume_from=folder / checkpoint["payload"]["path"])
    assert records(again, "metric") == []
    assert [record["payload"]["final"] for record in records(again, "checkpoint")] == [True]
    assert end_of(again)["reason"] == reason


def test_a_run_without_a_new_best_for_so_long_ends(inputs: tuple[Path, Path], tmp_path: Path):
    never_better = {"every_steps": 1, "metric": "eval/num_prompts", "patience": 2}
    folder = run_here(small_spec(*inputs, evaluation=never_better), tmp_path / "run")
    assert [record["step"] for record in records(folder, "metric")] == [1, 2]
    assert read_state(folder / "checkpoints/step-000002").end_reason


def test_each_new_best_has_its_checkpoint(inputs: tuple[Path, Path], tmp_path: Path):
    spec = small_spec(
        *inputs,
        evaluation={"every_steps": 1, "samples": 8},
        checkpoints={"every_steps": 100, "best": True},
        budget={"max_steps": 8},
    )
    folder = run_here(spec, tmp_path / "run")
    found = accuracies(folder)
    bests = [s for s in found if s and found[s] > max(found[t] for t in found if t < s)]
    assert bests  # the policy learns
    saved = {record["step"] for record in records(folder, "checkpoint")}
    assert saved == {*bests, 8}
    best = read_state(folder / "checkpoints/step-000008").best
    assert best is not None
    assert (best.step, best.value) == (
        max(found, key=lambda s: (found[s], -s)),
        max(found.values()),
    )


class SmallMemory(Policy):
    """Model with memory for a number of tokens at a time."""

    def logprobs(self, batch: TokenBatch, *, temperature: float) -> tuple[Tensor, Tensor]:
        if batch.input_ids.numel() > 100:
            raise torch.OutOfMemoryError
        return super().logprobs(batch, temperature=temperature)


def test_a_step_that_runs_out_of_memory_continues_with_smaller_micro_batches(
    inputs: tuple[Path, Path], tmp_path: Path
):
    spec = small_spec(*inputs, data={"eval": None}, budget={"max_steps": 2})
    saved: list[TrainerState] = []
    with closing(Recorder(tmp_path / "records.jsonl", now=lambda: datetime.now(UTC))) as recorder:
        parts = assemble(spec, model_folder=None, phase=lambda _: None).parts
        policy: Any = SmallMemory(parts.policy.model, precision="float32")
        with closing(parts.engine), closing(parts.scorer):
            trainer = Trainer(
                spec,
                replace(parts, policy=policy),
                state=TrainerState(),
                last_step=2,
                report=Reporter(recorder, tmp_path, spec),
                save=lambda state, _: partial(saved.append, state),
                stop=Stop(),
            )
            assert trainer.train() == "completed"
    assert saved[-1].token_budget == 96  # 3072 halved five times
    (said,) = records(tmp_path, "message")
    assert said["payload"]["text"] == "out of memory: reduced micro-batches to 96 tokens"
    assert len(records(tmp_path, "metric")) == 2


@pytest.mark.parametrize("trouble", ["none", "engine"])
def test_the_end_is_recorded_before_an_engine_is_closed(
    inputs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
):
    """Engine whose close aborts the process, as can happen on CUDA."""
    at_close: list[str] = []

    def close(_: TransformersEngine) -> None:
        at_close.append(records(tmp_path / "run")[-1]["payload"]["outcome"])

    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(TransformersEngine, "close", close)
    if trouble == "engine":
        monkeypatch.setattr(TransformersEngine, "stream", fail)
    spec = small_spec(*inputs, data={"eval": None}, budget={"max_steps": 1})
    prepare_run_directory(tmp_path / "run", spec)
    failed = run(spec, tmp_path / "run", stop=Stop())
    assert at_close == ["failed" if failed else "completed"]
    assert failed == (trouble == "engine")
