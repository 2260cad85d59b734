"""A run on its user's terminal: how far it is, and its curves as they grow."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from grpo.reporting.console import ProgressLines
from grpo.reporting.records import Record
from grpo.spec.rollout import Evaluation

PACE_STEPS = 10  # the time left is judged by the last so many steps
BLOCKS = "▁▂▃▄▅▆▇█"
LABEL_WIDTH = 9  # of a curve's name
CURVES = {
    "reward": ("reward", "{:.3f}"),
    "eval/accuracy": ("held-out", "{:.1%}"),
    "groups/tied_fraction": ("ties", "{:.0%}"),
    "completions/mean_length": ("length", "{:.0f}"),
}
PHASES = {
    "loading": "loading the model",
    "starting_engine": "starting the rollout engine",
    "evaluating": "evaluating on held-out prompts",
    "saving": "saving a checkpoint",
}


@contextmanager
def on_terminal(log: Path, evaluation: Evaluation) -> Iterator["Display"]:
    """A display that has standard error to itself: what libraries print goes to `log`."""
    with (
        os.fdopen(os.dup(2), "w") as terminal,
        _others_print_to(log),
        Live(
            console=Console(file=terminal, highlight=False),
            redirect_stdout=False,
            redirect_stderr=False,
        ) as live,
    ):
        yield Display(live, evaluation)


class Display:
    """A listener of records: lines for what happened, and below them a view of the run."""

    def __init__(self, live: Live, evaluation: Evaluation) -> None:
        self._live = live
        self._lines = ProgressLines(lambda line: live.console.print(line, markup=False), evaluation)
        self._view = View(live.console.width)

    def __call__(self, record: Record) -> None:
        """A step is in the view, and needs no line."""
        if record["kind"] not in ("metric", "phase"):
            self._lines(record)
        self._view.add(record)
        self._live.update(self._view.drawn())


class View:
    """What is shown of a run, folded from its records."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._phase = ""
        self._step = 0
        self._total_steps: int | None = None
        self._step_seconds: list[float] = []
        self._curves: dict[str, list[float]] = {name: [] for name in CURVES}

    def add(self, record: Record) -> None:
        payload = record["payload"]
        match record["kind"]:
            case "phase":
                self._phase = payload["phase"]
                self._step = record["step"] or 0
                self._total_steps = payload.get("total_steps", self._total_steps)
            case "metric":
                self._step = record["step"]
                self._step_seconds = [*self._step_seconds, payload["step_time"]][-PACE_STEPS:]
                self._extend(payload)
            case "eval":
                self._extend(payload)
            case "end":
                self._phase = payload["outcome"]

    def _extend(self, payload: Mapping[str, Any]) -> None:
        """By what was finite."""
        for name, values in self._curves.items():
            if payload.get(name) is not None:
                values.append(payload[name])

    def drawn(self) -> Group:
        curves = [self._curve(name) for name, values in self._curves.items() if len(values) > 1]
        return Group(self._bar(), *curves)

    def _bar(self) -> Table:
        """Where the run is: what it does before its first step, then its steps."""
        bar = Table.grid(padding=(0, 1), expand=True)
        bar.add_column(no_wrap=True)
        bar.add_column(ratio=1)
        bar.add_column(no_wrap=True)
        total = self._total_steps
        if total is None:
            bar.add_row(PHASES.get(self._phase, self._phase), ProgressBar(pulse=True), "")
        else:
            done = ProgressBar(total=total, completed=self._step)
            bar.add_row(f"step {self._step}/{total}", done, self._left())
        return bar

    def _left(self) -> str:
        """Time to the last step at the pace of the last few; or what is done instead of steps."""
        if self._phase != "training":
            return PHASES.get(self._phase, self._phase)
        if not self._step_seconds or self._total_steps is None:
            return ""
        pace = sum(self._step_seconds) / len(self._step_seconds)
        minutes, seconds = divmod(round((self._total_steps - self._step) * pace), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{seconds:02} left"

    def _curve(self, name: str) -> Text:
        values, (label, form) = self._curves[name], CURVES[name]
        ends = f"{form.format(values[0])} → {form.format(values[-1])}"
        width = max(self._width - LABEL_WIDTH - len(ends) - 2, len(BLOCKS))
        return Text(f"{label:<{LABEL_WIDTH}} {spark_line(values, width)} {ends}", no_wrap=True)


def spark_line(values: Sequence[float], width: int) -> str:
    """The curve in at most `width` characters, each the mean of as many values as any other."""
    num_marks = min(width, len(values))
    edges = [index * len(values) // num_marks for index in range(num_marks + 1)]
    means = [sum(values[start:end]) / (end - start) for start, end in pairwise(edges)]
    low, span = min(means), max(means) - min(means)
    return "".join(
        BLOCKS[round((mean - low) / span * (len(BLOCKS) - 1)) if span else 0] for mean in means
    )


@contextmanager
def _others_print_to(log: Path) -> Iterator[None]:
    """Both standard streams, from C++ too: vLLM's lines would break the display."""
    kept = [os.dup(stream) for stream in (1, 2)]
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)
    try:
        yield
    finally:
        for stream, before in zip((1, 2), kept, strict=True):
            os.dup2(before, stream)
            os.close(before)
