"""The printed table: a row for each part, with its figures."""

from collections.abc import Mapping, Sequence

from tests.gpu.part import Figures
from tests.gpu.run import Result

HEADINGS = ("part", "result", "seconds", "figures, or why not")


def table(results: Sequence[Result]) -> str:
    """Format as Markdown, to be copied into docs/gpu.md unchanged."""
    rows = [HEADINGS, *(_row(result) for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _row(result: Result) -> tuple[str, ...]:
    seconds = f"{result.seconds:.0f}" if result.seconds else ""
    said = result.reason.replace("|", "/").replace("\n", " ") or _figures(result.figures)
    return (result.name, str(result.outcome), seconds, said)


def _figures(figures: Mapping[str, float | str] | Figures) -> str:
    return ", ".join(f"{name} {_number(value)}" for name, value in figures.items())


def _number(value: float | str) -> str:
    if isinstance(value, str | int):
        return str(value)
    return f"{value:.4g}"
