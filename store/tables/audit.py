"""Audit records."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column, relationship

from store.tables.access import ApiKey
from store.tables.base import Base


class AuditRecord(Base):
    """A change by a key's holder, written in the same transaction."""

    __tablename__ = "audit_records"
    __table_args__ = (Index("ix_audit_records_project_id_id", "project_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    key_id: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id"))
    session_id: Mapped[UUID | None]
    """The browser session; null: the key itself was sent.  The value outlives the session."""
    action: Mapped[str]
    object: Mapped[str]
    """Id of the changed object, as the API shows it; the object may be deleted."""
    request_id: Mapped[str]
    address: Mapped[str | None]
    """The client's address, as known to the server or a trusted proxy."""

    key: Mapped[ApiKey] = relationship()
