"""Rows of data, and templates over a row's fields.  Every error names the line or row."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from grpo.values.members import NoSuchMember, member, root_of
from grpo.values.template import FilledTooLong, filled
from grpo.values.written_number import as_text

SURROGATE = re.compile("[\ud800-\udfff]")
MAX_NAMES_TOLD = 20
MAX_NAME_TOLD = 100


class RowError(ValueError):
    """An unusable row.  The message names its position and the error."""


@dataclass(frozen=True)
class Row:
    """One object of a data set.

    `number` counts from 1: lines of a JSONL file (blank ones included), rows of other formats.
    """

    number: int
    fields: dict[str, Any]
    unit: Literal["line", "row"] = "line"

    @property
    def place(self) -> str:
        return f"{self.unit} {self.number}"


def render(template: str, row: Row) -> str:
    """Return the template with each `{{ name }}` replaced by the row's field or a member of it.

    Text is inserted unchanged, a number as written in the file, all else as JSON.

    Raises:
        RowError: the field is missing, null or not valid Unicode; or the result is too long.
    """
    try:
        return filled(template, lambda name: _field_text(row, name))
    except FilledTooLong as error:
        raise RowError(f"{row.place}: {error}") from None


def field_value(row: Row, name: str) -> Any:  # noqa: ANN401
    """Return a field of the row, or a member of one.

    Raises:
        RowError: the row has no field of that name.
    """
    try:
        return member(row.fields, name)
    except NoSuchMember as error:
        if (root := root_of(name, row.fields)) is not None:
            raise RowError(f"{row.place}: field {root[:MAX_NAME_TOLD]!r}: {error}") from None
        raise RowError(
            f"{row.place} has no field {name[:MAX_NAME_TOLD]!r}; it has {told(row.fields)}"
        ) from None


def told(names: Iterable[str]) -> str:
    """Return names for a message: the first ones, each truncated."""
    first = list(islice(names, MAX_NAMES_TOLD + 1))
    shown = ", ".join(repr(name[:MAX_NAME_TOLD]) for name in first[:MAX_NAMES_TOLD])
    return f"{shown}, ..." if len(first) > MAX_NAMES_TOLD else shown or "none"


def is_unicode(text: str) -> bool:
    """Whether the text can be encoded: JSON can contain an unpaired surrogate."""
    return SURROGATE.search(text) is None


def _field_text(row: Row, name: str) -> str:
    value = field_value(row, name)
    if value is None:
        raise RowError(f"{row.place}: field {name!r} is null")
    if isinstance(value, float) and not math.isfinite(value):
        raise RowError(f"{row.place}: field {name!r} is not a finite number")
    text = as_text(value)
    if not is_unicode(text):
        raise RowError(f"{row.place}: field {name!r} holds an unpaired surrogate")
    return text
