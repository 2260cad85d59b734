"""Projects, API keys, browser sessions, and stored responses of idempotent requests."""

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
    """A project: the owner of jobs, files and keys."""

    __tablename__ = "projects"
    __table_args__ = (CheckConstraint("weight between 1 and 1000", name="weight_bounded"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    max_running: Mapped[int | None]
    """Limit of running jobs; null: as many as the workers run."""
    max_queued: Mapped[int | None]
    """Limit of queued jobs; null: no limit."""
    weight: Mapped[int] = mapped_column(server_default="1")
    """Share of the workers, relative to the other projects with queued jobs."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ProjectTurn(Base):
    """A project's last claim, kept apart from its row, which submissions lock."""

    __tablename__ = "project_turns"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    claimed_at: Mapped[datetime]


class ApiKey(Base):
    """An API key, as its hash: the key itself is shown once and not stored."""

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
    """First characters, to distinguish keys in a list."""
    sha256: Mapped[bytes] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_used_at: Mapped[datetime | None]
    """Time of last use, to the minute."""
    expires_at: Mapped[datetime | None]
    """End of a rotated key; null: never."""
    revoked_at: Mapped[datetime | None]

    project: Mapped[Project] = relationship()


class ProjectSecret(Base):
    """A named value that only jobs of its project use, such as a token: encrypted."""

    __tablename__ = "project_secrets"
    __table_args__ = (CheckConstraint("name ~ '^[A-Z][A-Z0-9_]{0,63}$'", name="name_valid"),)

    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    ciphertext: Mapped[bytes]
    """By `store.security.encryption`."""
    host: Mapped[str | None]
    """Host that the value may be sent to as a key, in lower case; None: to none."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class BrowserSession(Base):
    """A browser signed in with a key: the hash of the token in its cookie."""

    __tablename__ = "browser_sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    key_id: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id"))
    sha256: Mapped[bytes] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(index=True)

    key: Mapped[ApiKey] = relationship()


class IdempotencyKey(Base):
    """The first response to an idempotent request."""

    __tablename__ = "idempotency_keys"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    route: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    body_hash: Mapped[str]
    status_code: Mapped[int]
    location: Mapped[str | None]
    body: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)
