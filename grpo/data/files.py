"""Data files, told apart by what they hold: a stored file's name says nothing."""

from collections.abc import Iterator
from pathlib import Path

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
        begins = file.read(len(MAGIC))
    return read_parquet(path) if begins == MAGIC else read_jsonl(path)
