"""The curves of a watched job: a few metrics by step."""

from collections.abc import Iterator

from duet.objects.log import Record
from duet.objects.metrics import Metrics
from duet.terminal.sparkline import spark_line

SHOWN = {
    "reward": ("reward", "{:.2f}"),
    "eval/accuracy": ("held-out", "{:.1%}"),
    "groups/tied_fraction": ("tied", "{:.0%}"),
    "rollout/tokens_per_second": ("tokens/s", "{:,.0f}"),
}
LABEL_WIDTH, FEWEST_MARKS = 8, 4


class Curves:
    """Points by metric, by step."""

    def __init__(self) -> None:
        self._points: dict[str, list[tuple[int, float]]] = {name: [] for name in SHOWN}

    @classmethod
    def of(cls, metrics: Metrics) -> "Curves":
        """Return the curves so far."""
        curves = cls()
        for name, curve in metrics.metrics.items():
            for step, value in zip(curve.step, curve.value, strict=True):
                curves._add(name, step, value)
        return curves

    def add(self, record: Record) -> None:
        """Add a record; a step that an attempt repeats replaces the earlier one."""
        if record.kind in ("metric", "eval") and record.step is not None:
            for name in SHOWN.keys() & record.payload.keys():
                self._add(name, record.step, record.payload[name])

    def lines(self, width: int) -> Iterator[str]:
        """Yield a line for each metric with at least two points."""
        for name, (label, form) in SHOWN.items():
            values = [value for _, value in tuple(self._points[name])]
            if len(values) > 1:
                ends = f"{form.format(values[0])} → {form.format(values[-1])}"
                num_marks = max(width - LABEL_WIDTH - len(ends) - 2, FEWEST_MARKS)
                yield f"{label:<{LABEL_WIDTH}} {spark_line(values, num_marks)} {ends}"

    def _add(self, name: str, step: int, value: float | None) -> None:
        """Add a point, unless its value is not finite."""
        points = self._points[name]
        while points and points[-1][0] >= step:
            points.pop()
        if value is not None:
            points.append((step, value))
