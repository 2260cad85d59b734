"""Curves of a task: accuracy against steps, rollouts and time, and tied groups."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.paper.runs import Result
from bench.paper.scores import Axis

AXES: Sequence[tuple[Axis | None, str]] = (
    (None, "step"),
    ("rollouts", "rollouts"),
    ("seconds", "seconds of training"),
)


def draw_curves(by_method: Mapping[str, Sequence[Result]], path: Path) -> None:
    """Draw every seed thinly and the mean of the seeds in bold."""
    figure = Figure(figsize=(16, 4), layout="constrained")
    panels = list(figure.subplots(1, 4))
    for panel, (axis, label) in zip(panels, AXES, strict=False):
        _accuracy(panel, by_method, axis)
        panel.set(xlabel=label, ylabel="held-out accuracy")
    _tied(panels[-1], by_method)
    panels[0].legend(fontsize="small")
    figure.savefig(path, dpi=110)


def _accuracy(panel: Axes, by_method: Mapping[str, Sequence[Result]], axis: Axis | None) -> None:
    for number, (name, runs) in enumerate(by_method.items()):
        color = f"C{number}"
        xs = [_positions(run, axis) for run in runs]
        for run, x in zip(runs, xs, strict=True):
            panel.plot(x, run.accuracy, color=color, alpha=0.3, linewidth=0.8)
        shared = min(len(x) for x in xs)
        panel.plot(
            [fmean(x[at] for x in xs) for at in range(shared)],
            [fmean(run.accuracy[at] for run in runs) for at in range(shared)],
            color=color,
            label=name,
        )


def _positions(run: Result, axis: Axis | None) -> list[float]:
    """Return where each evaluation is on an axis."""
    if axis is None:
        return [float(step) for step in run.evaluated_steps]
    values = getattr(run, axis)
    by_step = dict(zip((0, *run.steps), values, strict=True))
    return [by_step[step] for step in run.evaluated_steps]


def _tied(panel: Axes, by_method: Mapping[str, Sequence[Result]]) -> None:
    for number, runs in enumerate(by_method.values()):
        first, color = runs[0], f"C{number}"
        predicted = [1 - kept for kept in first.curves["groups/expected_keep_rate"]]
        panel.plot(first.steps, first.curves["groups/tied_fraction"], color=color)
        panel.plot(first.steps, predicted, color=color, linestyle=":", linewidth=0.8)
    panel.set(xlabel="step", ylabel="tied groups (dotted: predicted)", ylim=(0, 1))
