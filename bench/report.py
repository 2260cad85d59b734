"""The printed report: the machine, and a table of goals."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HEADINGS = ("goal", "measured", "needed", "met")


@dataclass(frozen=True)
class Row:
    """One row of the report; `met` is None for a number without a goal."""

    goal: str
    measured: str
    needed: str = ""
    met: bool | None = None


def describe_machine(packages: Sequence[str]) -> list[str]:
    """Return time, machine and package versions; of alternatives ("a|b") the installed one."""
    return [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {_cpu_model()}, {num_cores()} cores, "
        f"load before {os.getloadavg()[0]:.1f}",
        ", ".join(_version(names.split("|")) for names in packages),
    ]


def num_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def table(rows: Sequence[Row]) -> str:
    """Format as Markdown, to be copied into docs/benchmarks.md unchanged."""
    cells = [HEADINGS, *((row.goal, row.measured, row.needed, _verdict(row.met)) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    lines = [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in cells
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _verdict(met: bool | None) -> str:
    return {True: "yes", False: "no", None: ""}[met]


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else "unknown CPU"


def _version(distributions: Sequence[str]) -> str:
    for distribution in distributions:
        try:
            return f"{distribution} {version(distribution)}"
        except PackageNotFoundError:
            continue
    return f"no {distributions[0]}"
