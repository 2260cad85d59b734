"""TensorBoard's event files, read back with its own reader."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from grpo.reporting.records import Recorder
from grpo.reporting.tensorboard import TensorBoard

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
Scalars = dict[str, list[tuple[int, float, float]]]
"""Return (step, value, unix time) by name."""


class Attempt:
    """A record log with a TensorBoard writer and a clock that advances 0.25 s per record."""

    def __init__(self, records: Path, events: Path) -> None:
        self.path = records
        self._times = iter(NOON + timedelta(seconds=0.25 * n) for n in range(1000))
        self._log = Recorder(
            records, now=lambda: next(self._times), listeners=[TensorBoard(events)]
        )

    def write(self, kind: Any, payload: dict[str, Any], step: int | None = None) -> None:
        self._log.append(kind, payload, step=step)

    def end(self) -> None:
        self.write("end", {"outcome": "completed", "error": None})
        self._log.close()


def scalars_of(events: Path) -> Scalars:
    accumulator = EventAccumulator(str(events), size_guidance={"scalars": 0})
    accumulator.Reload()
    return {
        name: [(event.step, event.value, event.wall_time) for event in accumulator.Scalars(name)]
        for name in accumulator.Tags()["scalars"]
    }


def scalars_in(records: Path) -> Scalars:
    """Return the scalars in records.jsonl, in float32."""
    scalars: Scalars = {}
    for record in map(json.loads, records.read_text().splitlines()):
        if record["kind"] in ("metric", "eval"):
            at = datetime.fromisoformat(record["at"]).timestamp()
            for name, value in record["payload"].items():
                if isinstance(value, int | float):
                    point = (record["step"], float(np.float32(value)), at)
                    scalars.setdefault(name, []).append(point)
    return scalars


def test_every_number_of_the_records_is_a_scalar_at_its_step_and_time(tmp_path: Path):
    attempt = Attempt(tmp_path / "records.jsonl", tmp_path / "tensorboard")
    attempt.write("phase", {"phase": "loading"}, 0)
    attempt.write("eval", {"eval/accuracy": 0.1, "eval/pass@4": 1 / 3, "eval/num_prompts": 512}, 0)
    for step in range(1, 4):
        attempt.write("metric", {"reward": 0.1 * step, "num_tokens": 10**8 + step}, step)
        attempt.write("sample", {"prompt": "1+1="}, step)
    attempt.write("eval", {"eval/accuracy": 0.7, "eval/math-500/pass@4": 0.9}, 3)
    attempt.end()
    scalars = scalars_of(tmp_path / "tensorboard")
    assert scalars == scalars_in(attempt.path)
    assert set(scalars) == {
        *("eval/accuracy", "eval/pass@4", "eval/num_prompts", "eval/math-500/pass@4"),
        *("reward", "num_tokens"),
    }
    assert scalars["reward"][1] == (2, float(np.float32(0.2)), NOON.timestamp() + 1.0)


def test_non_finite_values_have_no_point(tmp_path: Path):
    attempt = Attempt(tmp_path / "records.jsonl", tmp_path / "tensorboard")
    attempt.write("metric", {"reward": 0.5, "loss": float("nan")}, 1)
    attempt.write("metric", {"reward": 0.5, "loss": 0.25}, 2)
    attempt.end()
    scalars = scalars_of(tmp_path / "tensorboard")
    assert [step for step, _, _ in scalars["reward"]] == [1, 2]
    assert [(step, value) for step, value, _ in scalars["loss"]] == [(2, 0.25)]


def test_an_attempt_that_continues_another_replaces_its_later_steps(tmp_path: Path):
    events = tmp_path / "tensorboard"
    lost = Attempt(tmp_path / "lost.jsonl", events)
    for step in range(1, 5):
        lost.write("metric", {"reward": 0.125 * step}, step)
    continued = Attempt(tmp_path / "continued.jsonl", events)
    continued.write("resumed", {"from_step": 2}, 2)
    for step in range(3, 6):
        continued.write("metric", {"reward": 0.5 + 0.0625 * step}, step)
    continued.end()
    assert [(step, value) for step, value, _ in scalars_of(events)["reward"]] == [
        (1, 0.125),
        (2, 0.25),
        (3, 0.6875),
        (4, 0.75),
        (5, 0.8125),
    ]


def test_a_step_is_visible_during_the_run(tmp_path: Path):
    attempt = Attempt(tmp_path / "records.jsonl", tmp_path / "tensorboard")
    attempt.write("metric", {"reward": 0.5}, 1)
    assert scalars_of(tmp_path / "tensorboard")["reward"][0][:2] == (1, 0.5)
    attempt.end()
