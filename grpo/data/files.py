"""Data files, told apart by what they hold: a stored file's name says nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from grpo.data.jsonl import read_jsonl
from grpo.data.parquet import MAGIC, read_parquet
from grpo.data.rows import Row


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a JSONL or Parquet file.

    Raises:
        RowError: a row cannot be read.
        OSError: the file cannot.
    """
    with path.open("rb") as file:
        yield from rows_in(file)


def rows_in(file: BinaryIO) -> Iterator[Row]:
    """As `read_rows`, of a file that is open at its beginning."""
    begins = file.read(len(MAGIC))
    file.seek(0)
    return read_parquet(file) if begins == MAGIC else read_jsonl(file)
