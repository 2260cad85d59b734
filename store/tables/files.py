"""Uploaded files."""

from datetime import datetime
from typing import Any, Literal, get_args
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Text,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Base

Blob = bytes  # the class has a column of that name
FileStatus = Literal["processing", "ready", "failed"]


class File(Base):
    """An uploaded data file; its content is in the artifact store under `files/<id>`.

    The API inspects small files before it lists them: `ready`.  Others are `processing` until
    `python -m worker ops` has inspected them: `ready` or `failed`.
    """

    __tablename__ = "files"
    __table_args__ = (
        CheckConstraint(f"status IN {get_args(FileStatus)}", name="status"),
        Index("ix_files_project_id_id", "project_id", "id"),
        Index("ix_files_expires_at", "expires_at", postgresql_where=text("expires_at is not null")),
        Index("ix_files_processing", "id", postgresql_where=text("status = 'processing'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    created_by: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id"))
    name: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    status: Mapped[FileStatus] = mapped_column(Text, server_default="ready")
    problems: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    """Reasons why the file cannot be used: a sentence per invalid row, at most ten."""
    num_rows: Mapped[int | None]
    """Number of rows; None: no inspection has succeeded."""
    fields: Mapped[dict[str, Any]]
    """Result of the inspection by field name, so that a template is checked without reading the
    file again."""
    head: Mapped[Blob] = mapped_column(server_default=text("''"), deferred=True)
    """The first rows (`grpo.data.inspection`), so that no request reads the file for them."""
    num_rows_checked: Mapped[int | None]
    """Rows that the current background inspection has read so far; None: there is none."""
    num_inspections: Mapped[int] = mapped_column(server_default=text("0"))
    """Background inspections that began and were not given back."""
    inspection_began_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    """Time of removal, unless an unfinished job uses the file; None: never."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
