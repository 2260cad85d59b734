"""Curves of several jobs as a picture; needs matplotlib (`pip install duet[plot]`)."""

from pathlib import Path

from duet.errors import Refused
from duet.objects.comparison import Comparison

UNITS = {"seconds": "seconds of training"}


def plot_comparison(compared: Comparison, path: Path) -> None:
    """Draw each job's curve into a PNG.

    Raises:
        Refused: matplotlib is not installed, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise Refused("--png needs matplotlib: pip install 'duet[plot]'") from error
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for job in compared.jobs:
        # matplotlib leaves a gap where a value is None, for non-finite numbers.
        values = [float("nan") if value is None else value for value in job.value]
        marker = "o" if len(values) < 20 else ""
        axes.plot(job.x, values, label=f"{job.name} ({job.group_size} per prompt)", marker=marker)
    axes.set_xlabel(UNITS.get(compared.x, compared.x))
    axes.set_ylabel(compared.metric)
    axes.grid(alpha=0.3)
    axes.legend()
    try:
        figure.savefig(path, dpi=120, format="png")
    except OSError as error:
        raise Refused(f"cannot write {path}: {error}") from error
