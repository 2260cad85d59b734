"""A run with a spent budget ends cleanly, and its attempts share one budget."""

from pathlib import Path
from typing import Any

import pytest

from grpo.checkpoint.checkpoint import read_state
from grpo.reporting.records import Record
from grpo.reporting.run_directory import prepare_run_directory
from grpo.run import run
from grpo.runtime.stop import Stop
from grpo.spec.job import JobSpec
from tests.training.runs import end_of, make_tiny_model, records, small_spec, write_sums

pytestmark = pytest.mark.filterwarnings("ignore")

LASTS = {"metric": 10.0, "eval": 4.0, "checkpoint": 2.0}


class Clock:
    """Clock that advances for steps, evaluations and checkpoints, and slightly at each reading, so
    that rates are finite."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        self.now += 2.0**-20
        return self.now

    def listen(self, record: Record) -> None:
        self.now += LASTS.get(record["kind"], 0.0)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    return make_tiny_model(folder / "model"), write_sums(folder / "sums.jsonl")


def run_timed(spec: JobSpec, folder: Path, *, resume_from: Path | None = None) -> Path:
    clock = Clock(now=1000.0)
    prepare_run_directory(folder, spec)
    listeners = [clock.listen]
    stop = Stop()
    assert (
        run(spec, folder, resume_from=resume_from, stop=stop, listeners=listeners, clock=clock) == 0
    )
    return folder


def steps(folder: Path, kind: str) -> list[int]:
    return [record["step"] for record in records(folder, kind)]


def said(folder: Path) -> list[str]:
    return [record["payload"]["text"] for record in records(folder, "message")]


def budget(inputs: tuple[Path, Path], **written: Any) -> JobSpec:
    """Evaluations at 0, 3, 6 and checkpoints at 2, 4, 6 of six steps of 64 rollouts."""
    return small_spec(*inputs, budget=written)


def test_rollouts_that_are_used_up_end_the_run_with_an_evaluation_and_a_checkpoint(
    inputs: tuple[Path, Path], tmp_path: Path
):
    # 64 a step: 128 are too few, 192 enough.  The end is evaluated, due or not.
    spec = small_spec(*inputs, budget={"max_rollouts": 150}, evaluation={"every_steps": 5})
    folder = run_timed(spec, tmp_path / "run")
    assert steps(folder, "metric") == [1, 2, 3]
    assert steps(folder, "eval") == [0, 3]
    assert [(r["step"], r["payload"]["final"]) for r in records(folder, "checkpoint")] == [
        (2, False),
        (3, True),
    ]
    reason = "budget.max_rollouts: 192 of 150 drawn"
    assert said(folder) == [reason]
    assert end_of(folder) == {"outcome": "completed", "error": None, "reason": reason}
    (began,) = [r for r in records(folder, "phase") if "total_steps" in r["payload"]]
    assert began["payload"]["total_steps"] == 3


def test_seconds_count_steps_evaluations_and_checkpoints(inputs: tuple[Path, Path], tmp_path: Path):
    # Evaluation 4, step 14, step 24, checkpoint 26, step 36: over, so evaluation 40 and the end.
    folder = run_timed(budget(inputs, max_seconds=35), tmp_path / "run")
    assert steps(folder, "metric") == [1, 2, 3]
    assert steps(folder, "eval") == [0, 3]
    assert said(folder) == ["budget.max_seconds: 36 of 35 s used"]
    state = read_state(folder / "checkpoints/step-000003")
    assert state.training_seconds == pytest.approx(40, abs=0.01)
    assert state.gpu_seconds == 0


def test_an_evaluation_that_uses_the_time_up_is_the_last(inputs: tuple[Path, Path], tmp_path: Path):
    folder = run_timed(budget(inputs, max_seconds=38), tmp_path / "run")
    assert steps(folder, "metric") == [1, 2, 3]
    assert steps(folder, "eval") == [0, 3]
    assert said(folder) == ["budget.max_seconds: 40 of 38 s used"]
    assert records(folder, "checkpoint")[-1]["payload"]["final"]


def test_a_resumed_run_continues_counting(inputs: tuple[Path, Path], tmp_path: Path):
    spec = budget(inputs, max_seconds=42)
    first = run_timed(spec, tmp_path / "first")
    assert steps(first, "metric") == [1, 2, 3, 4]  # at 50
    # 24 are in the checkpoint; step 34, evaluation 38, step 48.  A fresh count would reach step 6.
    checkpoint = first / "checkpoints/step-000002"
    second = run_timed(spec, tmp_path / "second", resume_from=checkpoint)
    assert steps(second, "metric") == [3, 4]
    assert said(second) == ["budget.max_seconds: 48 of 42 s used"]


def test_without_a_gpu_no_gpu_hours_are_spent(inputs: tuple[Path, Path], tmp_path: Path):
    folder = run_timed(budget(inputs, max_gpu_hours=1e-6), tmp_path / "run")
    assert steps(folder, "metric") == [1, 2, 3, 4, 5, 6]
    assert end_of(folder) == {"outcome": "completed", "error": None}
