"""Reading of data files, whose format is detected by content, not by name."""

from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO

from grpo.data.csv_rows import read_csv
from grpo.data.format import LOOKED_AT, Format, UnknownFormat, format_of
from grpo.data.jsonl import read_jsonl
from grpo.data.packing import unpacked
from grpo.data.parquet import read_parquet
from grpo.data.rows import Row, RowError


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a JSONL, CSV or Parquet file; the first two may be compressed.

    Raises:
        RowError: a row cannot be read, or the format is not supported.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        yield from rows_in(file)


def rows_in(file: BinaryIO) -> Iterator[Row]:
    """Yield the rows of an open file at its start, as `read_rows` does."""
    content, kind = opened(file)
    if kind == "parquet":
        return read_parquet(content)
    if kind == "csv":
        return csv_rows(content)
    return read_jsonl(content)


def opened(file: BinaryIO) -> tuple[BinaryIO, Format]:
    """Return a file's content, decompressed if needed, and its format.

    Raises:
        RowError: the format is not supported.
    """
    begins = file.read(LOOKED_AT)
    file.seek(0)
    kind = _format(begins)
    if kind != "packed":
        return file, kind
    with unpacked(file) as content:
        inside = _format(content.read(LOOKED_AT))
    file.seek(0)
    if inside in ("parquet", "packed"):
        raise RowError("the compressed file holds a Parquet or a compressed file: unpack it once")
    return unpacked(file), inside


def csv_rows(content: BinaryIO) -> Iterator[Row]:
    """Return a CSV file's rows; the caller closes the file."""
    text = TextIOWrapper(content, encoding="utf-8-sig", newline="")
    try:
        yield from read_csv(text)
    finally:
        text.detach()


def _format(begins: bytes) -> Format:
    try:
        return format_of(begins)
    except UnknownFormat as error:
        raise RowError(str(error)) from None
