"""A spec's training rows as the policy will see them."""

from pydantic import Field

from api.schemas.base import View
from api.schemas.files import FieldView


class PreviewMessage(View):
    """One message of a prompt."""

    role: str
    content: str = Field(description="Truncated if long.")


class PreviewRow(View):
    """A row as a prompt and its expected answer."""

    number: int = Field(description="Line number in a JSONL file, or row number, from 1.")
    messages: list[PreviewMessage]
    answer: str | None = Field(description="Null: see `problem`.")
    problem: str | None = Field(description="Why the row cannot be used; null: it can.")


class SourcePreview(View):
    """The first rows of one training source."""

    source: str
    num_rows: int | None = Field(description="Null for a hub data set, which only workers read.")
    fields: list[FieldView] = Field(description="Fields available to templates.")
    rows: list[PreviewRow]


class DataPreview(View):
    """The first rows of each training source."""

    data: list[SourcePreview]
