"""Inspection of a data file row by row: number of rows, fields, and invalid rows."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal

from grpo.data.files import csv_rows, opened
from grpo.data.jsonl import is_blank, parse_line
from grpo.data.packing import is_packed
from grpo.data.parquet import MAGIC, parquet_rows, parse_cells
from grpo.data.rows import Row, RowError, is_unicode, render
from grpo.runtime.bounded_process import OutOfTime, TooCostly
from grpo.values.written_number import WrittenNumber, as_json

MAX_ROW_BYTES = 1024 * 1024  # as JSON
MAX_ROW_ITEMS = 100_000  # values in all of its lists and objects
MAX_ROW_DEPTH = 64
MAX_ROWS = 10_000_000
MAX_UNPACKED_BYTES = 8 << 30  # total of a Parquet file's rows
MAX_FIELDS = 1000
MAX_NAME = 1000  # characters; field names are part of every response about the file
MAX_NAMES = 100_000  # characters of all names; a spec can name a hundred files
MAX_PROBLEMS = 10

COUNTED_ROWS = 1000  # between two counts of an inspection's progress

HEAD_ROWS = 20
HEAD_BYTES = 256 * 1024
"""Size of a head: the rows that are shown, and checked at each submission."""

JSONL_BYTES = 1 << 30
PARQUET_BYTES = 4 << 30
"""Address space of a reading process: a Parquet page is decompressed as a whole."""

Rows = Iterator[Row | RowError]
"""Rows, with an error in place of each invalid one."""


@dataclass(frozen=True)
class Inspection:
    """Contents of a file, or the problems in it."""

    num_rows: int = 0
    fields: dict[str, str | None] = field(default_factory=dict)
    """Field name -> the reason why no template can use it, with the first such row, or None."""
    head: bytes = b""
    """The first rows without very large ones; made by `head_of`, read by `rows_of_head`."""
    problems: tuple[str, ...] = ()
    """One sentence per invalid row, at most ten; a file with any cannot be used."""


def is_plain_text(path: Path) -> bool:
    """Whether a file is as large in memory as on disk."""
    with path.open("rb") as file:
        begins = file.read(8)
    return not begins.startswith(MAGIC) and not is_packed(begins)


def is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def memory_for(path: Path) -> int:
    """Address space [bytes] for the process that inspects a file."""
    return PARQUET_BYTES if is_parquet(path) else JSONL_BYTES


def inspect(
    path: str,
    max_unpacked_bytes: int = MAX_UNPACKED_BYTES,
    *,
    count: Callable[[int], object] = lambda _: None,
) -> Inspection:
    """Read a data file to its end, or to its tenth bad row.

    Args:
        count: called with the number of rows read so far, every thousand rows.
    """
    with Path(path).open("rb") as file:
        try:
            content, kind = opened(file)
        except RowError as error:
            return Inspection(problems=(str(error),))
        match kind:
            case "parquet":
                rows = _parquet(content, max_unpacked_bytes)
            case "csv":
                rows = _csv(content)
            case _:
                rows = _jsonl(content)
        return _inspect(_counted(rows, count))


def inspect_counting(path: str, counter: str) -> Inspection:
    """Inspect a file, and write the number of rows read so far to the file `counter`, which another
    process reads with `read_counter`; if writing fails, as on a full disk, no progress is shown."""

    def keep(number: int) -> None:
        with suppress(OSError), Path(counter).open("r+b", buffering=0) as file:
            os.pwrite(file.fileno(), number.to_bytes(8, "little"), 0)

    return inspect(path, count=keep)


def read_counter(counter: IO[bytes]) -> int:
    """Return the number of rows that `inspect_counting` has read so far."""
    return int.from_bytes(os.pread(counter.fileno(), 8, 0), "little")


def too_costly(error: TooCostly, seconds: float) -> Inspection:
    """Return the inspection of a file that exceeded the limits of time or memory."""
    if isinstance(error, OutOfTime):
        said = f"the file takes longer than {seconds:.0f} s to check: split it into smaller files"
    else:
        said = "the file needs too much memory to decompress, or is damaged"
    return Inspection(problems=(said,))


def head_of(rows: list[Row]) -> bytes:
    """Return the first rows as one text, exactly as they were read."""
    unit = rows[0].unit if rows else "row"
    text = as_json({"unit": unit, "rows": [[row.number, row.fields] for row in rows]})
    return text.encode(errors="surrogatepass")


def rows_of_head(head: bytes) -> list[Row]:
    """Return the rows in a text made by `head_of`."""
    if not head:
        return []
    found = json.loads(head.decode(errors="surrogatepass"), parse_float=WrittenNumber)
    unit: Literal["line", "row"] = found["unit"]
    return [Row(number, fields, unit) for number, fields in found["rows"]]


class _Fields:
    """Fields found so far, and whether templates can use them."""

    def __init__(self) -> None:
        self.found: dict[str, str | None] = {}
        self._num_characters = 0
        self._usable: set[str] = set()
        self._first: Row | None = None

    def add(self, row: Row) -> str | None:
        """Add a row; return the reason if it cannot be stored."""
        for name in row.fields:
            if name in self.found:
                continue
            self._num_characters += len(name)
            if refused := self._refused(name, row):
                return refused
            self._note(name, _problem(name, self._first or row))
        # A field is checked until it is unusable, and a missing field is unusable: the time is
        # proportional to the number of values.
        for name in tuple(self._usable):
            if not _is_plain(row.fields.get(name)):
                self._note(name, _problem(name, row))
        self._first = self._first or row
        return None

    def _refused(self, name: str, row: Row) -> str | None:
        """Return the reason why a new field, whose name is already counted, cannot be stored."""
        if "\0" in name or not is_unicode(name):
            return (
                f"{row.place} has a field named {name!r}: a name must not contain a NUL "
                "character or an unpaired surrogate"
            )
        if len(name) > MAX_NAME:
            return (
                f"{row.place} has a field whose name has {len(name):,} characters; at most "
                f"{MAX_NAME:,} are allowed"
            )
        if len(self.found) == MAX_FIELDS:
            return f"{row.place} brings the number of fields above {MAX_FIELDS}"
        if self._num_characters > MAX_NAMES:
            return (
                f"{row.place} brings the total length of field names above {MAX_NAMES:,} characters"
            )
        return None

    def _note(self, name: str, problem: str | None) -> None:
        self.found[name] = problem
        if problem is None:
            self._usable.add(name)
        else:
            self._usable.discard(name)


class _Head:
    """The first rows of limited size."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._num_bytes = 0

    def add(self, row: Row) -> None:
        if len(self.rows) == HEAD_ROWS or self._num_bytes > HEAD_BYTES:
            return
        num_bytes = len(_as_json(row.fields))
        if self._num_bytes + num_bytes <= HEAD_BYTES:
            self.rows.append(row)
            self._num_bytes += num_bytes


def _counted(rows: Rows, count: Callable[[int], object]) -> Rows:
    for number, row in enumerate(rows, start=1):
        if number % COUNTED_ROWS == 0:
            count(number)
        yield row


def _inspect(rows: Rows) -> Inspection:
    fields, head, num_rows, problems = _Fields(), _Head(), 0, []
    for row in rows:
        problem = str(row) if isinstance(row, RowError) else _row_problem(row) or fields.add(row)
        if problem is None:
            assert isinstance(row, Row)
            head.add(row)
            num_rows += 1
        else:
            problems.append(problem)
        if num_rows > MAX_ROWS:
            problems.append(f"the file has more than {MAX_ROWS} rows: split it")
        if len(problems) == MAX_PROBLEMS or num_rows > MAX_ROWS:
            break
    if not problems and num_rows == 0:
        problems.append("the file has no rows: write JSONL, CSV or Parquet")
    if problems:
        return Inspection(problems=tuple(problems))
    return Inspection(num_rows, fields.found, head_of(head.rows))


def _row_problem(row: Row) -> str | None:
    """Return the reason why a row is too large, counted level by level."""
    num_items, level = 0, [row.fields]
    for depth in count(1):
        num_items += sum(map(len, level))
        if num_items > MAX_ROW_ITEMS:
            return f"{row.place} has more than {MAX_ROW_ITEMS} values"
        level = [
            item
            for value in level
            for item in (value.values() if isinstance(value, dict) else value)
            if isinstance(item, dict | list)
        ]
        if not level:
            break
        if depth == MAX_ROW_DEPTH:
            return f"{row.place} is nested deeper than {MAX_ROW_DEPTH} levels"
    # A line's length was checked before it was read.
    if row.unit == "row" and len(_as_json(row.fields)) > MAX_ROW_BYTES:
        return f"{row.place} is longer than {MAX_ROW_BYTES} bytes of JSON"
    return None


def _as_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")


def _is_plain(value: object) -> bool:
    """Whether a value can be used in a template; a quick check that nearly all pass."""
    return type(value) is int or (type(value) is str and value.isascii())


def _problem(name: str, row: Row) -> str | None:
    """Return the reason why a template over this field fails at this row."""
    try:
        render(f"{{{{{name}}}}}", row)
    except RowError as error:
        return str(error)
    return None


def _csv(source: BinaryIO) -> Rows:
    try:
        yield from csv_rows(source)
    except RowError as error:
        yield error


def _jsonl(source: BinaryIO) -> Rows:
    try:
        yield from _rows_of_lines(source)
    except RowError as error:  # of decompressed data
        yield error


def _rows_of_lines(source: BinaryIO) -> Rows:
    for number, line in enumerate(_lines(source), start=1):
        if len(line) > MAX_ROW_BYTES:
            yield RowError(f"line {number} is longer than {MAX_ROW_BYTES} bytes")
        elif not is_blank(line):
            yield _row_or_error(parse_line, line, number)


def _lines(source: IO[bytes]) -> Iterator[bytes]:
    """Yield lines, reading only as much of a line as is needed to reject it as too long."""
    while line := source.readline(MAX_ROW_BYTES + 1):
        yield line
        while len(line) > MAX_ROW_BYTES and not line.endswith(b"\n"):
            if not (line := source.readline(MAX_ROW_BYTES + 1)):
                return


def _parquet(source: IO[bytes], max_bytes: int) -> Rows:
    import pyarrow

    pyarrow.set_cpu_count(1)  # each thread of its pool uses address space
    try:
        for number, cells in enumerate(parquet_rows(source, max_bytes=max_bytes), start=1):
            yield _row_or_error(parse_cells, cells, number)
    except RowError as error:
        yield error


def _row_or_error(parse: Callable[[Any, int], Row], written: object, number: int) -> Row | RowError:
    try:
        return parse(written, number)
    except RowError as error:
        return error
