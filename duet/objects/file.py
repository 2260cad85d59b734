"""Uploaded data files."""

from datetime import datetime
from typing import Any

from duet.objects.answer import Answer


class Field(Answer):
    """One field of a file's rows; `problem` says why a template cannot use it."""

    name: str
    problem: str | None = None


class File(Answer):
    id: str
    name: str
    bytes: int
    sha256: str
    status: str = "ready"
    """`processing`, `ready` or `failed`."""
    problems: tuple[str, ...] = ()
    num_rows: int | None = None
    """None unless `ready`."""
    num_rows_checked: int | None = None
    """Rows that the current background check has read so far; None: there is none."""
    fields: list[Field]
    created_at: datetime
    expires_at: datetime | None = None
    """Time of its deletion; None: kept until it is deleted."""


class PromptMessage(Answer):
    role: str
    content: str


class PromptRow(Answer):
    """A row's prompt and expected answer, or the reason why it has none."""

    number: int
    messages: list[PromptMessage]
    answer: str | None = None
    problem: str | None = None


class SourcePreview(Answer):
    """The first rows of one source of a spec's section `data`."""

    source: str
    num_rows: int | None = None
    fields: list[Field]
    rows: list[PromptRow]


class DataPreview(Answer):
    data: list[SourcePreview]


class Preview(Answer):
    """The first rows of a file."""

    data: list[dict[str, Any]]
