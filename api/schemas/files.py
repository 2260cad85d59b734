"""A data file, as the API shows it."""

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import Field

from api.schemas.base import View
from store import ids
from store.tables import File


class FieldView(View):
    """One field of a file's rows."""

    name: str
    problem: str | None = Field(
        description="Why a template cannot use the field, naming the first such line or row; "
        "null: every row's value is text or a number."
    )


class FileView(View):
    """An uploaded data file."""

    id: str
    name: str
    bytes: int
    sha256: str
    status: Literal["processing", "ready", "failed"] = Field(
        description="`processing`: large files are checked in the background; jobs can use a "
        "file that is `ready`."
    )
    problems: list[str] = Field(
        description="`failed`: a sentence for each invalid row, at most ten."
    )
    num_rows: int | None = Field(description="Null unless `ready`.")
    num_rows_checked: int | None = Field(
        default=None,
        description="Rows that the current background check has read so far; null: there is none.",
    )
    fields: list[FieldView] = Field(description="Empty unless `ready`.")
    created_at: datetime
    expires_at: datetime | None = Field(
        default=None,
        description="When the file is deleted, unless a job needs it then; null: never.",
    )

    @classmethod
    def of(cls, file: File) -> Self:
        return cls(
            id=ids.encode("file", file.id),
            name=file.name,
            bytes=file.bytes,
            sha256=file.sha256,
            status=file.status,
            problems=file.problems,
            num_rows=file.num_rows,
            num_rows_checked=file.num_rows_checked,
            fields=[FieldView(name=name, problem=problem) for name, problem in file.fields.items()],
            created_at=file.created_at,
            expires_at=file.expires_at,
        )


class Preview(View):
    """The first rows of a file."""

    data: list[dict[str, Any]]
