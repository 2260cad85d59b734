"""Who did what."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column, relationship

from store.tables.access import ApiKey
from store.tables.base import Base


class AuditRecord(Base):
    """Something that a key's holder has changed, written in the same transaction."""

    __tablename__ = "audit_records"
    __table_args__ = (Index("ix_audit_records_project_id_id", "project_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    key_id: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id"))
    session_id: Mapped[UUID | None]
    """The browser's; null: the key itself was sent.  It outlives the session."""
    action: Mapped[str]
    object: Mapped[str]
    """The id, as the API shows it, of what was changed; it may be gone."""
    request_id: Mapped[str]
    address: Mapped[str | None]
    """The client's, as far as the server or a trusted proxy knows it."""

    key: Mapped[ApiKey] = relationship()
