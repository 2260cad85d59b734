"""Base of all answers: frozen pydantic models."""

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Item = TypeVar("Item")


class View(BaseModel):
    """An answer, or a part of one."""

    model_config = ConfigDict(frozen=True)


class Page(View, Generic[Item]):
    """A page of a list."""

    data: list[Item]
    next: str | None = Field(
        default=None, description="Cursor for `after`; null: this was the last page."
    )
