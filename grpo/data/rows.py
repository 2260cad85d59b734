"""Rows of data, and templates over a row's fields.  Every complaint names the line or the row."""

import json
import math
import re
from dataclasses import dataclass
from typing import Any, Literal

SURROGATE = re.compile("[\ud800-\udfff]")
FIELD = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")


class RowError(ValueError):
    """A row that cannot be used.  The message names its place and says what is wrong."""


@dataclass(frozen=True)
class Row:
    """One object of a data set.

    `number` counts from 1: the line of a JSONL file (blank ones counted), the row of anything else.
    """

    number: int
    fields: dict[str, Any]
    unit: Literal["line", "row"] = "line"

    @property
    def place(self) -> str:
        return f"{self.unit} {self.number}"


def template_fields(template: str) -> tuple[str, ...]:
    """The fields that a template names, each once, in order."""
    return tuple(dict.fromkeys(FIELD.findall(template)))


def render(template: str, row: Row) -> str:
    """`{{ name }}` replaced by the row's field, a string or a number; the rest stands as it is.

    Raises:
        RowError: the row has no such field, or its value is neither, or is no Unicode text.
    """
    return FIELD.sub(lambda match: _field_text(row, match[1]), template)


def field_value(row: Row, name: str) -> Any:  # noqa: ANN401
    """
    Raises:
        RowError: the row has no such field.
    """
    if name not in row.fields:
        there = ", ".join(map(repr, row.fields)) or "none"
        raise RowError(f"{row.place} has no field {name!r}; it has {there[:500]}")
    return row.fields[name]


def is_unicode(text: str) -> bool:
    """Whether the text can be encoded: JSON can spell half of a surrogate pair."""
    return SURROGATE.search(text) is None


def _field_text(row: Row, name: str) -> str:
    value = field_value(row, name)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        kind = "null" if value is None else type(value).__name__
        raise RowError(f"{row.place}: field {name!r} must be a string or a number, not {kind}")
    if isinstance(value, float) and not math.isfinite(value):
        raise RowError(f"{row.place}: field {name!r} is no finite number")
    text = value if isinstance(value, str) else json.dumps(value)
    if not is_unicode(text):
        raise RowError(f"{row.place}: field {name!r} holds half of a surrogate pair")
    return text
