"""Uploaded files."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Base


class File(Base):
    """An uploaded JSONL file; its content lies in the artifact store under `files/<id>`."""

    __tablename__ = "files"
    __table_args__ = (Index("ix_files_project_id_id", "project_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    created_by: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id"))
    name: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    num_rows: Mapped[int]
    fields: Mapped[dict[str, Any]]
    """What the API found of each field, by its name, when it read the file: so a template is
    checked against a file without reading it again."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
