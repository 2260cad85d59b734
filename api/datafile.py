"""A JSONL file read once: copied, hashed, every line looked at, every bad one named."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from grpo.data.jsonl import parse_line
from grpo.data.rows import Row, RowError, render

MAX_LINE_BYTES = 16 * 1024 * 1024
MAX_FIELDS = 1000
MAX_PROBLEMS = 10


class DataFileError(ValueError):
    """The file cannot be used: a sentence for each bad line, ten at most."""

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
    """Each field's name -> why no template can use it, naming the first such line, or None."""


def copy_checked(source: IO[bytes], copy: IO[bytes]) -> DataFile:
    """Copy a file and learn what its rows hold.

    Raises:
        DataFileError: lines are no JSON objects, or there are none.
    """
    digest = hashlib.sha256()
    rows = _Rows()
    problems: list[str] = []
    for number, line in enumerate(_lines(source), start=1):
        copy.write(line)
        digest.update(line)
        try:
            rows.add(line, number)
        except RowError as error:
            problems.append(str(error))
            if len(problems) == MAX_PROBLEMS:
                break
    if not problems and rows.num_rows == 0:
        problems.append("the file has no rows: write one JSON object a line")
    if problems:
        raise DataFileError(problems)
    return DataFile(copy.tell(), digest.hexdigest(), rows.num_rows, rows.fields)


class _Rows:
    """What has been learned of the rows so far."""

    def __init__(self) -> None:
        self.num_rows = 0
        self.fields: dict[str, str | None] = {}
        self._first: Row | None = None

    def add(self, line: bytes, number: int) -> None:
        if len(line) > MAX_LINE_BYTES:
            raise RowError(f"line {number} is longer than {MAX_LINE_BYTES} bytes")
        if not line.strip(b" \t\r\n\xef\xbb\xbf"):
            return
        row = parse_line(line, number)
        for name in row.fields.keys() - self.fields.keys():
            _refuse_unstorable(name, number)
            self.fields[name] = _problem(name, self._first) if self._first else None
        if len(self.fields) > MAX_FIELDS:
            raise RowError(f"line {number} brings the number of fields above {MAX_FIELDS}")
        for name, problem in self.fields.items():
            if problem is None:
                self.fields[name] = _problem(name, row)
        self._first = self._first or row
        self.num_rows += 1


def _lines(source: IO[bytes]) -> Iterator[bytes]:
    """Lines, but never more of one in memory than it takes to know that it is too long."""
    while line := source.readline(MAX_LINE_BYTES + 1):
        yield line
        while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            if not (line := source.readline(MAX_LINE_BYTES + 1)):
                return


def _problem(name: str, row: Row) -> str | None:
    """Why a template over this field fails at this row."""
    try:
        render(f"{{{{{name}}}}}", row)
    except RowError as error:
        return str(error)
    return None


def _refuse_unstorable(name: str, number: int) -> None:
    if "\0" in name or any("\ud800" <= character <= "\udfff" for character in name):
        raise RowError(
            f"line {number} has a field named {name!r}: a name must not hold a NUL character or "
            "half of a surrogate pair"
        )
