"""JSONL: one JSON object per line, in UTF-8."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO, NoReturn

from grpo.data.rows import Row, RowError
from grpo.values.written_number import WrittenNumber

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_jsonl(file: BinaryIO) -> Iterator[Row]:
    """Yield the rows of a JSONL file; blank lines are skipped but counted.

    Raises:
        RowError: a line is not a JSON object.
    """
    for number, line in enumerate(file, start=1):
        if not is_blank(line):
            yield parse_line(line, number)


def is_blank(line: bytes) -> bool:
    return line.strip() in (b"", BYTE_ORDER_MARK)


def parse_line(line: bytes, number: int) -> Row:
    """Return one line as a row.  The first may begin with a byte order mark.

    Raises:
        RowError: the line is not a JSON object in UTF-8.
    """
    if number == 1:
        line = line.removeprefix(BYTE_ORDER_MARK)
    try:
        fields = _decode(line.decode())
    except UnicodeDecodeError as error:
        raise RowError(f"line {number} is not UTF-8: byte {error.start + 1} is invalid") from None
    except json.JSONDecodeError as error:
        raise RowError(
            f"line {number} is not JSON: {error.msg} at character {error.pos + 1}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise RowError(f"line {number} is not supported JSON: {error}") from None
    if not isinstance(fields, dict):
        raise RowError(f'line {number} is not a JSON object: write {{"field": value, ...}}')
    return Row(number, fields)


def _undoubled(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs as a mapping, without duplicates: parsers differ in which one they keep."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        doubled = next(
            name for name, times in Counter(name for name, _ in pairs).items() if times > 1
        )
        raise ValueError(f"the field {doubled!r} is given twice: remove one")
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not valid JSON")


_decode = json.JSONDecoder(
    parse_float=WrittenNumber, parse_constant=_refuse_constant, object_pairs_hook=_undoubled
).decode
