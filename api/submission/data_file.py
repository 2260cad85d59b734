"""An uploaded data file: copied, hashed, every row looked at, every bad one named."""

import hashlib
import multiprocessing
import resource
import signal
from collections.abc import Callable, Iterator
from ctypes import CDLL
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pebble import ProcessExpired, ProcessPool

from api.limits.concurrency import Places
from grpo.data.jsonl import is_blank, parse_line
from grpo.data.parquet import MAGIC, parquet_rows, parse_cells
from grpo.data.rows import Row, RowError, is_unicode, render
from grpo.runtime.parent_watch import PR_SET_PDEATHSIG

BLOCK_BYTES = 1024 * 1024
MAX_LINE_BYTES = 16 * 1024 * 1024
MAX_PARQUET_ROWS = 10_000_000
MAX_UNPACKED_BYTES = 8 << 30  # of all of a Parquet file's rows
UNPACKING_BYTES = 4 << 30
"""Address space of the process that unpacks a Parquet file."""
UNPACKING_SECONDS = 60
MAX_FIELDS = 1000
MAX_PROBLEMS = 10

Rows = Iterator[Row | RowError]
"""Rows, and in place of a bad one what is wrong with it."""


class DataFileError(ValueError):
    """The file cannot be used: a sentence for each bad row, ten at most."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class DataFile:
    """What a good file holds."""

    num_bytes: int
    sha256: str
    num_rows: int
    fields: dict[str, str | None]
    """Each field's name -> why no template can use it, naming the first such row, or None."""


def unpacking_places() -> Places:
    """For a process's Parquet files, of which each may take UNPACKING_BYTES of memory."""
    busy = "others' Parquet files are being unpacked here"
    return Places(2, code="uploads_busy", busy=busy, retry_seconds=5, wait_seconds=2)


def copy_checked(source: IO[bytes], copy: IO[bytes], unpacking: Places) -> DataFile:
    """Copy a JSONL or Parquet file and learn what its rows hold.

    Raises:
        DataFileError: rows cannot be read, or there are none.
        Problem: 503 while others' Parquet files are unpacked.
    """
    sha256 = _copy(source, copy)
    source.seek(0)
    begins = source.read(len(MAGIC))
    source.seek(0)
    copy.flush()
    if begins == MAGIC:
        with unpacking.take():
            learned = _learn_apart(copy.name)
    else:
        learned = _learn(_jsonl(source))
    return DataFile(copy.tell(), sha256, learned.num_rows, learned.fields)


def _copy(source: IO[bytes], copy: IO[bytes]) -> str:
    """The content's sha256."""
    digest = hashlib.sha256()
    while block := source.read(BLOCK_BYTES):
        copy.write(block)
        digest.update(block)
    return digest.hexdigest()


class _Learned:
    """What has been learned of the rows so far."""

    def __init__(self) -> None:
        self.num_rows = 0
        self.fields: dict[str, str | None] = {}
        self._first: Row | None = None

    def add(self, row: Row) -> str | None:
        """Take in a row; or say why it cannot be stored."""
        for name in row.fields.keys() - self.fields.keys():
            if "\0" in name or not is_unicode(name):
                return (
                    f"{row.place} has a field named {name!r}: a name must not hold a NUL character "
                    "or half of a surrogate pair"
                )
            self.fields[name] = _problem(name, self._first) if self._first else None
        if len(self.fields) > MAX_FIELDS:
            return f"{row.place} brings the number of fields above {MAX_FIELDS}"
        for name, problem in self.fields.items():
            if problem is None:
                self.fields[name] = _problem(name, row)
        self._first = self._first or row
        self.num_rows += 1
        return None


def _learn(rows: Rows) -> _Learned:
    """
    Raises:
        DataFileError: see `copy_checked`.
    """
    learned = _Learned()
    problems: list[str] = []
    for row in rows:
        problem = str(row) if isinstance(row, RowError) else learned.add(row)
        if problem is not None:
            problems.append(problem)
        if len(problems) == MAX_PROBLEMS:
            break
    if not problems and learned.num_rows == 0:
        problems.append("the file has no rows: write one JSON object a line, or a Parquet file")
    if problems:
        raise DataFileError(problems)
    return learned


def _learn_apart(path: str) -> _Learned:
    """As `_learn`, of a Parquet file, in a process of bounded memory: a page of a few bytes can
    unpack to gigabytes before anybody has counted them.

    Raises:
        DataFileError: see `copy_checked`.
    """
    with ProcessPool(
        max_workers=1,
        initializer=_bound_memory,
        initargs=(UNPACKING_BYTES,),
        context=multiprocessing.get_context("spawn"),  # pyright: ignore[reportArgumentType]
    ) as pool:
        arguments = (path, MAX_UNPACKED_BYTES)
        task = pool.schedule(_learn_parquet, args=arguments, timeout=UNPACKING_SECONDS)
        try:
            learned = task.result()
        except ProcessExpired:
            learned = ["the Parquet file takes too much memory to unpack, or is damaged"]
        except TimeoutError:
            learned = [f"the Parquet file takes longer than {UNPACKING_SECONDS} s to unpack"]
    if isinstance(learned, list):
        raise DataFileError(learned)
    return learned


def _bound_memory(num_bytes: int) -> None:
    """The beginning of that process, which does not outlive this one."""
    CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_AS, (num_bytes, num_bytes))
    import pyarrow

    pyarrow.set_cpu_count(1)  # each thread of its pool would take address space


def _learn_parquet(path: str, max_bytes: int) -> _Learned | list[str]:
    """What has been learned, or each problem."""
    try:
        with Path(path).open("rb") as file:
            return _learn(_parquet(file, max_bytes))
    except DataFileError as error:
        return error.problems


def _jsonl(source: IO[bytes]) -> Rows:
    for number, line in enumerate(_lines(source), start=1):
        if len(line) > MAX_LINE_BYTES:
            yield RowError(f"line {number} is longer than {MAX_LINE_BYTES} bytes")
        elif not is_blank(line):
            yield _row_or_error(parse_line, line, number)


def _lines(source: IO[bytes]) -> Iterator[bytes]:
    """Lines, but never more of one in memory than it takes to know that it is too long."""
    while line := source.readline(MAX_LINE_BYTES + 1):
        yield line
        while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            if not (line := source.readline(MAX_LINE_BYTES + 1)):
                return


def _parquet(source: IO[bytes], max_bytes: int) -> Rows:
    try:
        for number, cells in enumerate(parquet_rows(source, max_bytes=max_bytes), start=1):
            if number > MAX_PARQUET_ROWS:
                yield RowError(f"the file has more than {MAX_PARQUET_ROWS} rows")
                return
            yield _row_or_error(parse_cells, cells, number)
    except RowError as error:
        yield error


def _row_or_error(parse: Callable[[Any, int], Row], written: object, number: int) -> Row | RowError:
    try:
        return parse(written, number)
    except RowError as error:
        return error


def _problem(name: str, row: Row) -> str | None:
    """Why a template over this field fails at this row."""
    try:
        render(f"{{{{{name}}}}}", row)
    except RowError as error:
        return str(error)
    return None
