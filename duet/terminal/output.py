"""Output of commands: lines that fit the terminal, or the server's answer as JSON."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Annotated, Any, TextIO

import typer
from rich.cells import cell_len
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from duet.objects.answer import Answer
from duet.objects.file import File
from duet.terminal.plain import console, plain, plain_json, plain_lines

GAP = 2  # between a table's columns
LAST_WIDTH = 8  # least width of the column that is shortened

AsJson = Annotated[bool, typer.Option("--json", help="Print the server's answer, as JSON.")]


def tell(text: str) -> None:
    """Print a status message on standard error; standard output is kept for results.

    A closed terminal is ignored, so that the command can still stop what it started.
    """
    with suppress(OSError):
        print(plain_lines(text), file=sys.stderr, flush=True)


def say(text: str, *, end: str = "\n", out: TextIO | None = None) -> None:
    """Print a command's result on standard output.  All output goes through here, `tell`,
    `print_json`, `print_lines` or `print_table`, which escape terminal control characters."""
    print(plain_lines(text), end=end, file=out, flush=True)


def print_json(answer: Any) -> None:  # noqa: ANN401 - whatever the server says
    said = answer.model_dump(mode="json") if isinstance(answer, Answer) else answer
    print(plain_json(json.dumps(said, indent=2, ensure_ascii=False)), flush=True)


def print_json_list(answers: Iterable[Answer]) -> None:
    """Print a list in the server's JSON form, with no next page."""
    print_json({"data": [each.model_dump(mode="json") for each in answers], "next": None})


def print_answer(answer: Answer, text: str, *, as_json: bool) -> None:
    """Print the server's answer to an action: in words, or as JSON."""
    if as_json:
        print_json(answer)
    else:
        say(text)


def print_done(what: str, done: str, *, as_json: bool) -> None:
    """Print the success of an action without a response; `done`: for instance `deleted`."""
    if as_json:
        print_json({"id": what, done: True})
    else:
        say(f"{plain(what)} is {done}")


def print_lines(lines: Iterable[str]) -> None:
    """Print lines, wrapped at the terminal's width."""
    out = console()
    for line in lines:
        out.print(plain(line))


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[str] = ()
) -> None:
    """Print a table.  In a narrow terminal only the last column is shortened: those before it stay
    complete, to be read and copied, even if the terminal then breaks the lines.  `numbers`: the
    right-aligned columns."""
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
    """Print a table with a row per answer, or the answers as JSON; `none`: text for an empty
    list."""
    if as_json:
        print_json_list(answers)
    elif not answers and none is not None:
        say(none)
    else:
        print_table(columns, rows, numbers=numbers)


class Moving:
    """A progress bar of an upload or a download."""

    def __init__(self, bar: Progress, what: str) -> None:
        self._bar = bar
        self._what = what
        self._task = bar.add_task(plain(what), total=None)

    def __call__(self, now: int, total: int) -> None:
        self._bar.update(self._task, completed=now, total=total)

    def checking(self, file: File) -> None:
        """Show the progress of the server's check of the uploaded file."""
        rows = "" if file.num_rows_checked is None else f", {file.num_rows_checked:,} rows so far"
        text = plain(f"{self._what} is being checked{rows}")
        self._bar.update(self._task, description=text)


@contextmanager
def moving(what: str) -> Iterator[Moving]:
    """Show a progress bar on the terminal during an upload or a download."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    out = console(stderr=True)
    with Progress(
        *columns,
        TimeRemainingColumn(),
        console=out,
        transient=True,
        disable=not out.is_terminal,
    ) as bar:
        yield Moving(bar, what)


def age(seconds: float) -> str:
    """Format an age as `3d`, `2h`, `5m` or `10s`."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{int(max(seconds, 0))}s"


def clock(seconds: float) -> str:
    """Format a duration as minutes and seconds, with hours if any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def score(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def gibibytes(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:.0f} GiB"


def mebibytes(num_bytes: int) -> str:
    return f"{num_bytes / 2**20:,.0f} MiB"
