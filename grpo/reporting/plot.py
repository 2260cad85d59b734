"""Plot of a run's curves from its records."""

import json
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

PANELS = (  # a title, and the metrics drawn under it with their names
    (
        "reward",
        {
            "reward": "training",
            "eval/accuracy": "held-out accuracy",
            "eval/reward": "held-out reward",
        },
    ),
    ("tied groups [fraction]", {"groups/tied_fraction": "all"}),
    ("gradient norm before clipping", {"grad_norm": "all"}),
    ("mean completion [tokens]", {"completions/mean_length": "all"}),
)

Curve = tuple[list[int], list[float]]


def plot_run(folder: Path) -> Path | None:
    """Plot a run directory's curves to its `plot.png`; return None if it has no step yet."""
    curves = curves_of(folder / "records.jsonl")
    if not curves:
        return None
    figure = Figure(figsize=(10, 6), layout="constrained")
    for place, (title, names) in enumerate(PANELS, 1):
        axes = figure.add_subplot(2, 2, place)
        _panel(
            axes, title, [(label, curves[name]) for name, label in names.items() if name in curves]
        )
    path = folder / "plot.png"
    figure.savefig(path, dpi=120)
    return path


def _panel(axes: Axes, title: str, curves: Sequence[tuple[str, Curve]]) -> None:
    axes.set_title(title)
    axes.set_xlabel("step")
    axes.grid(alpha=0.3)
    for label, (steps, values) in curves:
        axes.plot(steps, values, label=label, marker="o" if len(steps) < 20 else "")
    if len(curves) > 1:
        axes.legend()


def curves_of(records: Path) -> dict[str, Curve]:
    """Return each metric's steps and finite values."""
    wanted = [name for _, names in PANELS for name in names]
    curves: dict[str, Curve] = {}
    with records.open() as lines:
        for line in lines:
            record = json.loads(line)
            if record["kind"] not in ("metric", "eval"):
                continue
            for name in wanted:
                value = record["payload"].get(name)
                if value is not None:
                    steps, values = curves.setdefault(name, ([], []))
                    steps.append(record["step"])
                    values.append(value)
    return curves
