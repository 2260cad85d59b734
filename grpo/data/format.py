"""Format of a data file, detected by its first bytes: a stored file's name is not reliable."""

import csv
import re
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
    b"7z\xbc\xaf": "a 7z archive: unpack it",
    b"Rar!": "a RAR archive: unpack it",
    b"\x04\x22\x4d\x18": "compressed by LZ4: unpack it, or compress it by gzip or zstd",
    b"\x93NUMPY": "a NumPy array: write it as Parquet or JSONL",
    b"\x89HDF": "an HDF5 file: write it as Parquet or JSONL",
    b"\xff\xfe\0\0": "in UTF-32: save it in UTF-8",
    b"\0\0\xfe\xff": "in UTF-32: save it in UTF-8",
}
TAR = b"ustar"
TAR_AT = 257
HTML = (b"<!doctype html", b"<html")
SEPARATORS = {";": "semicolons", "\t": "tabs"}
FIELD_NAME = re.compile(r"[A-Za-z_][\w.-]{0,99}")


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
    text = begins.removeprefix(BYTE_ORDER_MARK).lstrip()
    if (other := _other_file(begins) or _other_text(text)) is not None:
        raise UnknownFormat(f"the file {other}")
    return "csv" if _looks_like_csv(text) else "jsonl"


def _other_file(begins: bytes) -> str | None:
    """Return what an unsupported file is, and what to do; None: it may be text in UTF-8."""
    for magic, kind in OTHERS.items():
        if begins.startswith(magic):
            return f"is {kind}"
    if begins.startswith(TAR, TAR_AT):
        return "is a tar archive: unpack it"
    if begins.startswith(UTF_16) or _looks_like_utf_16(begins):
        return "is in UTF-16: save it in UTF-8"
    return None


def _other_text(text: bytes) -> str | None:
    """Return what an unsupported text is, and what to do; None: it is JSONL or CSV."""
    if text[:20].lower().startswith(HTML):
        return "is a web page, not the file that was to be downloaded"
    if text.startswith(b"{") and text[1:].lstrip(b" \t\r").startswith(b"\n"):
        return (
            "is JSON over several lines: write one object per line, as "
            "`jq -c . FILE.json > FILE.jsonl` does"
        )
    if text.startswith(b"["):
        return (
            "is one JSON array: write one object per line, as "
            "`jq -c '.[]' FILE.json > FILE.jsonl` does"
        )
    if _looks_like_csv(text):
        return None
    for separator, name in SEPARATORS.items():
        if _looks_like_csv(text, separator):
            return f"has values separated by {name}: separate them by commas"
    return None


def _looks_like_utf_16(begins: bytes) -> bool:
    """Whether every second byte of the first characters is NUL."""
    return len(begins) >= 4 and (begins[1:4:2] == b"\0\0" or begins[0:4:2] == b"\0\0")


def _looks_like_csv(begins: bytes, separator: str = ",") -> bool:
    """Whether the first record has at least two field names, and the second a value for each.

    Where all names are plain words, the second record's values are not counted.
    """
    if begins.startswith(b"{"):
        return False
    text = begins.decode(errors="replace")
    try:
        records = list(
            islice(filter(None, csv.reader(StringIO(text, newline=""), delimiter=separator)), 2)
        )
    except csv.Error:
        return False
    if not records or len(records[0]) < 2:
        return False
    names = [name.strip() for name in records[0]]
    if not all(names) or len(set(names)) < len(names):
        return False
    plain = all(map(FIELD_NAME.fullmatch, names))
    return plain or len(records) == 1 or len(records[1]) == len(names)
