"""What commands print: lines that fit the terminal, or the server's own answer as JSON."""

import json
from collections.abc import Iterable
from typing import Annotated, Any

import typer
from rich.console import Console

AsJson = Annotated[bool, typer.Option("--json", help="Print the server's answer, as JSON.")]


def print_json(answer: Any) -> None:  # noqa: ANN401 - whatever the server says
    print(json.dumps(answer, indent=2, ensure_ascii=False))


def print_lines(lines: Iterable[str]) -> None:
    """Wrapped where the terminal ends."""
    console = Console(highlight=False, markup=False, emoji=False)
    for line in lines:
        console.print(line)


def age(seconds: float) -> str:
    """As `3d`, `2h`, `5m` or `10s`."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{int(max(seconds, 0))}s"


def gibibytes(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:.0f} GiB"
