"""Projects, their keys, who is signed in, and the answers that a repeated request gets again."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from store.tables.base import Base


class Project(Base):
    """Whose jobs, files and keys these are."""

    __tablename__ = "projects"
    __table_args__ = (CheckConstraint("weight between 1 and 1000", name="weight_bounded"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    max_running: Mapped[int | None]
    """Jobs that run at the same time; null: as many as there are workers."""
    max_queued: Mapped[int | None]
    """Jobs that wait; null: no limit."""
    weight: Mapped[int] = mapped_column(server_default="1")
    """Its share of the workers, beside those of the other projects in which jobs wait."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ProjectTurn(Base):
    """When a project's last job was claimed: apart from its row, which submissions lock."""

    __tablename__ = "project_turns"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    claimed_at: Mapped[datetime]


class ApiKey(Base):
    """A key's hash: the key itself is shown once and kept nowhere."""

    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint(
            "scopes <@ array['read', 'submit', 'admin', 'server']", name="scopes_known"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    prefix: Mapped[str]
    """The first characters, to tell keys apart in a list."""
    sha256: Mapped[bytes] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_used_at: Mapped[datetime | None]
    """To the minute."""
    expires_at: Mapped[datetime | None]
    """When a key that has been rotated stops; null: never."""
    revoked_at: Mapped[datetime | None]

    project: Mapped[Project] = relationship()


class BrowserSession(Base):
    """A browser that is signed in with a key: the hash of the token in its cookie."""

    __tablename__ = "browser_sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    key_id: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id"))
    sha256: Mapped[bytes] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(index=True)

    key: Mapped[ApiKey] = relationship()


class IdempotencyKey(Base):
    """The first answer to a request that may come again."""

    __tablename__ = "idempotency_keys"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    route: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    body_hash: Mapped[str]
    status_code: Mapped[int]
    location: Mapped[str | None]
    body: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)
