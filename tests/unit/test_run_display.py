"""What a run shows on a terminal, by hand."""

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from grpo.reporting.live_display import View, spark_line
from grpo.reporting.plot import curves_of, plot_run
from grpo.reporting.records import Record


def record(kind: str, payload: dict[str, Any], step: int | None = None) -> Record:
    at = "2026-05-01T12:34:56.789012Z"
    return {"n": 1, "kind": kind, "step": step, "at": at, "payload": payload}


def shown(*records: Record, width: int = 80) -> list[str]:
    view = View(width)
    for one in records:
        view.add(one)
    console = Console(width=width, no_color=True)
    with console.capture() as capture:
        console.print(view.drawn())
    return [line.rstrip() for line in capture.get().splitlines()]


def stepped(step: int, **metrics: float | None) -> Record:
    return record("metric", {"step_time": 30.0, **metrics}, step)


TRAINING = record("phase", {"phase": "training", "total_steps": 130}, 0)


@pytest.mark.parametrize(
    ("values", "width", "line"),
    [
        ([0.0, 1.0], 10, "▁█"),
        ([3.0, 3.0, 3.0], 10, "▁▁▁"),  # nothing moves: no range to divide by
        ([0.0, 1 / 7, 2 / 7, 1.0], 10, "▁▂▃█"),
        ([0.0, 2.0, 5.0, 9.0, 14.0, 14.0], 3, "▁▄█"),  # of 1, 7, 14: 6/13 of 7 is 3.2
    ],
)
def test_a_spark_line_has_eight_heights_between_its_least_and_its_greatest_mean(
    values: list[float], width: int, line: str
):
    assert spark_line(values, width) == line


def test_steps_have_a_bar_the_time_left_and_each_curve_with_its_ends():
    lines = shown(
        TRAINING,
        record("eval", {"eval/accuracy": 0.25}, 0),
        *(stepped(step, reward=step / 10, grad_norm=1.0) for step in range(1, 11)),
        record("eval", {"eval/accuracy": 0.5}, 10),
    )
    assert lines[0].startswith("step 10/130 ━")
    assert lines[0].endswith("1:00:00 left")  # 120 steps of 30 s
    assert lines[1:] == [
        "reward    ▁▂▃▃▄▅▆▆▇█ 0.100 → 1.000",
        "held-out  ▁█ 25.0% → 50.0%",
    ]


def test_what_was_not_finite_leaves_a_curve_as_it_is():
    lines = shown(
        TRAINING, stepped(1, reward=0.5), stepped(2, reward=None), stepped(3, reward=0.75)
    )
    assert lines[1:] == ["reward    ▁█ 0.500 → 0.750"]


@pytest.mark.parametrize(
    ("phase", "words"),
    [("loading", "loading the model"), ("starting_engine", "starting the rollout engine")],
)
def test_before_the_first_step_it_says_what_is_done(phase: str, words: str):
    (line,) = shown(record("phase", {"phase": phase}, 0))
    assert line.startswith(words)


def test_no_line_is_wider_than_the_terminal():
    many = [stepped(step, reward=step % 7, **{"groups/tied_fraction": 0.5}) for step in range(500)]
    for width in (40, 80):
        assert max(map(len, shown(TRAINING, *many, width=width))) <= width


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
