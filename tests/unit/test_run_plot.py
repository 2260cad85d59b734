"""Picture of a run's curves."""

import json
from pathlib import Path
from typing import Any

from grpo.reporting.plot import curves_of, plot_run
from grpo.reporting.records import Record


def record(kind: str, payload: dict[str, Any], step: int | None = None) -> Record:
    at = "2026-05-01T12:34:56.789012Z"
    return {"n": 1, "kind": kind, "step": step, "at": at, "payload": payload}


def stepped(step: int, **metrics: float | None) -> Record:
    return record("metric", {"step_time": 30.0, **metrics}, step)


TRAINING = record("phase", {"phase": "training", "total_steps": 130}, 0)


def test_a_plot_draws_the_finite_values_of_each_step(tmp_path: Path):
    rows = [
        TRAINING,
        stepped(1, reward=0.5, grad_norm=None),
        record("eval", {"eval/accuracy": 0.25}, 1),
        stepped(2, reward=0.75, grad_norm=3.0),
    ]
    log = tmp_path / "records.jsonl"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert curves_of(log) == {
        "reward": ([1, 2], [0.5, 0.75]),
        "grad_norm": ([2], [3.0]),
        "eval/accuracy": ([1], [0.25]),
    }
    assert plot_run(tmp_path) == tmp_path / "plot.png"
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_without_a_step_has_no_plot(tmp_path: Path):
    (tmp_path / "records.jsonl").write_text(json.dumps(TRAINING) + "\n")
    assert plot_run(tmp_path) is None
    assert not (tmp_path / "plot.png").exists()
