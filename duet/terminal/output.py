"""What commands print: lines that fit the terminal, or the server's own answer as JSON."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Annotated, Any, TextIO

import typer
from rich.cells import cell_len
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from duet.client.progress import Progress as Moved
from duet.objects.answer import Answer
from duet.terminal.plain import console, plain, plain_json, plain_lines

GAP = 2  # between a table's columns
LAST_WIDTH = 8  # of the column that gives way, where it has no room at all

AsJson = Annotated[bool, typer.Option("--json", help="Print the server's answer, as JSON.")]


def tell(text: str) -> None:
    """What goes on, for whoever watches; standard output is kept for facts.

    A terminal that was closed hears nothing, and must not keep us from stopping what we started.
    """
    with suppress(OSError):
        print(plain_lines(text), file=sys.stderr, flush=True)


def say(text: str, *, end: str = "\n", out: TextIO | None = None) -> None:
    """What a command answers, on standard output; each printed word goes through here, `tell`,
    `print_json`, `print_lines` or `print_table`, which escape what would steer a terminal."""
    print(plain_lines(text), end=end, file=out, flush=True)


def print_json(answer: Any) -> None:  # noqa: ANN401 - whatever the server says
    said = answer.model_dump(mode="json") if isinstance(answer, Answer) else answer
    print(plain_json(json.dumps(said, indent=2, ensure_ascii=False)), flush=True)


def print_json_list(answers: Iterable[Answer]) -> None:
    """As the server writes a list that has no further page."""
    print_json({"data": [each.model_dump(mode="json") for each in answers], "next": None})


def print_done(what: str, done: str, *, as_json: bool) -> None:
    """A deed that the server answers without a word: `done` is `deleted` and the like."""
    if as_json:
        print_json({"id": what, done: True})
    else:
        say(f"{plain(what)} is {done}")


def print_lines(lines: Iterable[str]) -> None:
    """Wrapped where the terminal ends."""
    out = console()
    for line in lines:
        out.print(plain(line))


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[str] = ()
) -> None:
    """In a narrow terminal only the last column gives way: what stands before it stays whole, to
    be read and copied, even where that is wider than the terminal, which then breaks the lines.
    `numbers` are the columns that are aligned to the right."""
    table = Table(box=None, pad_edge=False)
    columns = [plain(name) for name in columns]
    for name in columns:
        justify = "right" if name in {plain(number) for number in numbers} else "left"
        table.add_column(name, justify=justify, no_wrap=name != columns[-1], overflow="fold")
    rows = [[plain(cell) for cell in row] for row in rows]
    for row in rows:
        table.add_row(*row)
    out = console()
    *before_last, _ = zip(columns, *rows, strict=True)
    whole = sum(max(map(cell_len, cells)) + GAP for cells in before_last)
    if whole >= out.width:  # else Rich would cut what stands before the last column
        out.width = whole + LAST_WIDTH
    out.print(table)


def print_list(
    answers: Sequence[Answer],
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    as_json: bool,
    numbers: Sequence[str] = (),
    none: str | None = None,
) -> None:
    """A table with a row of each answer, or the answers as JSON; `none` is said where none is."""
    if as_json:
        print_json_list(answers)
    elif not answers and none is not None:
        say(none)
    else:
        print_table(columns, rows, numbers=numbers)


@contextmanager
def moving(what: str) -> Iterator[Moved]:
    """A bar on the terminal, as long as an upload or a download lasts."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    out = console(stderr=True)
    with Progress(
        *columns,
        TimeRemainingColumn(),
        console=out,
        transient=True,
        disable=not out.is_terminal,
    ) as bar:
        task = bar.add_task(plain(what), total=None)
        yield lambda now, total: bar.update(task, completed=now, total=total)


def age(seconds: float) -> str:
    """As `3d`, `2h`, `5m` or `10s`."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{int(max(seconds, 0))}s"


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def score(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def gibibytes(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:.0f} GiB"


def mebibytes(num_bytes: int) -> str:
    return f"{num_bytes / 2**20:,.0f} MiB"
