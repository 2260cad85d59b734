"""Rows of a JSONL file, and templates over a row's fields.  Every complaint names the line."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
FIELD = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")


class RowError(ValueError):
    """A row that cannot be used.  The message names its line and says what is wrong."""


@dataclass(frozen=True)
class Row:
    """One JSON object of a data file.  `number` is its line, counted from 1."""

    number: int
    fields: dict[str, Any]


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a JSONL file; blank lines are skipped, though counted.

    Raises:
        RowError: a line is not a JSON object.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip() and line.strip() != BYTE_ORDER_MARK:
                yield parse_line(line, number)


def parse_line(line: bytes, number: int) -> Row:
    """One line as a row.  The first may begin with a byte order mark.

    Raises:
        RowError: it is not a JSON object in UTF-8.
    """
    if number == 1:
        line = line.removeprefix(BYTE_ORDER_MARK)
    try:
        fields = json.loads(line.decode(), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise RowError(f"line {number} is not UTF-8: byte {error.start + 1} is wrong") from None
    except json.JSONDecodeError as error:
        raise RowError(
            f"line {number} is not JSON: {error.msg} at character {error.pos + 1}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise RowError(f"line {number} is not JSON that can be read: {error}") from None
    if not isinstance(fields, dict):
        raise RowError(f'line {number} is not a JSON object: write {{"field": value, ...}}')
    return Row(number, fields)


def template_fields(template: str) -> tuple[str, ...]:
    """The fields that a template names, each once, in order."""
    return tuple(dict.fromkeys(FIELD.findall(template)))


def render(template: str, row: Row) -> str:
    """`{{ name }}` replaced by the row's field, a string or a number; the rest stands as it is.

    Raises:
        RowError: the row has no such field, or its value is neither, or is no Unicode text.
    """
    return FIELD.sub(lambda match: _field_text(row, match[1]), template)


def _field_text(row: Row, name: str) -> str:
    if name not in row.fields:
        there = ", ".join(map(repr, row.fields)) or "none"
        raise RowError(f"line {row.number} has no field {name!r}; it has {there[:500]}")
    value = row.fields[name]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        kind = "null" if value is None else type(value).__name__
        raise RowError(
            f"line {row.number}: field {name!r} must be a string or a number, not {kind}"
        )
    text = value if isinstance(value, str) else json.dumps(value)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise RowError(f"line {row.number}: field {name!r} holds half of a surrogate pair")
    return text


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")
