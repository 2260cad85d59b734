"""Format of a data file, detected by its first bytes: a stored file's name is not reliable."""

import csv
from io import StringIO
from itertools import islice
from typing import Literal

from grpo.data.packing import is_packed
from grpo.data.parquet import MAGIC

Format = Literal["jsonl", "csv", "parquet", "packed"]

LOOKED_AT = 64 * 1024
"""Number of leading bytes that identify a format."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
OTHERS: dict[bytes, str] = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook: unpack it, or save the sheet as CSV",
    b"BZh": "compressed by bzip2: unpack it, or compress it by gzip or zstd",
    b"\xfd7zXZ\x00": "compressed by xz: unpack it, or compress it by gzip or zstd",
    b"ARROW1": "an Arrow file: write it as Parquet",
    b"Obj\x01": "an Avro file: write it as Parquet or JSONL",
    b"SQLite format 3": "a SQLite database: export a table as CSV",
    b"%PDF": "a PDF document: write JSONL, CSV or Parquet",
}


class UnknownFormat(ValueError):
    """A file of an unsupported format.  The message names the format and what to do."""


def format_of(begins: bytes) -> Format:
    """Return a file's format from its first LOOKED_AT bytes.

    Raises:
        UnknownFormat: the format is not supported.
    """
    if begins.startswith(MAGIC):
        return "parquet"
    if is_packed(begins):
        return "packed"
    for magic, kind in OTHERS.items():
        if begins.startswith(magic):
            raise UnknownFormat(f"the file is {kind}")
    if begins.startswith(UTF_16) or _looks_like_utf_16(begins):
        raise UnknownFormat("the file is in UTF-16: save it in UTF-8")
    text = begins.removeprefix(BYTE_ORDER_MARK).lstrip()
    if text.startswith(b"["):
        raise UnknownFormat(
            "the file is one JSON array: write one object per line, as "
            "`jq -c '.[]' FILE.json > FILE.jsonl` does"
        )
    return "csv" if _looks_like_csv(text) else "jsonl"


def _looks_like_utf_16(begins: bytes) -> bool:
    """Whether every second byte of the first characters is NUL."""
    return len(begins) >= 4 and (begins[1:4:2] == b"\0\0" or begins[0:4:2] == b"\0\0")


def _looks_like_csv(begins: bytes) -> bool:
    """Whether the first record has at least two field names, and the second a value for each."""
    if begins.startswith(b"{"):
        return False
    text = begins.decode(errors="replace")
    try:
        records = list(islice(filter(None, csv.reader(StringIO(text, newline=""))), 2))
    except csv.Error:
        return False
    if not records or len(records[0]) < 2:
        return False
    names = [name.strip() for name in records[0]]
    named = all(names) and len(set(names)) == len(names)
    return named and (len(records) == 1 or len(records[1]) == len(names))
