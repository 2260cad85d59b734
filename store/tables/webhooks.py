"""Webhooks, their events and deliveries."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Base


class Webhook(Base):
    """An address that receives the events of a project's jobs."""

    __tablename__ = "webhooks"
    __table_args__ = (
        CheckConstraint(
            "(disabled_at is null) = (disabled_reason is null)", name="disabled_says_why"
        ),
        CheckConstraint(
            "(old_secret is null) = (old_secret_until is null)", name="old_secret_ends"
        ),
        Index("ix_webhooks_project_id_id", "project_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    created_by: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id"))
    url: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    events: Mapped[list[str]]
    """Types of event to deliver."""
    secret: Mapped[str]
    """`whsec_...`, in plain text because it signs."""
    old_secret: Mapped[str | None]
    """Secret before a rotation, which also signs until `old_secret_until`."""
    old_secret_until: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None]
    failing_since: Mapped[datetime | None]
    """Time of the first failure since the last success."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Delivery(Base):
    """One event for one webhook: the outbox, written together with the event's cause."""

    __tablename__ = "deliveries"
    __table_args__ = (
        CheckConstraint("delivered_at is null or next_try_at is null", name="delivered_once"),
        Index("ix_deliveries_webhook_id_id", "webhook_id", "id"),
        Index(
            "ix_deliveries_due",
            "webhook_id",
            "next_try_at",
            postgresql_where=text("next_try_at is not null"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    """The `webhook-id`: the same at every try, so that a receiver recognizes a repetition."""
    webhook_id: Mapped[UUID] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    event: Mapped[str]
    payload: Mapped[dict[str, Any]]
    tries: Mapped[int] = mapped_column(server_default="0")
    """Number of tries since it was written or redelivered."""
    next_try_at: Mapped[datetime | None] = mapped_column(server_default=func.now())
    """Time of the next try; null: delivered or given up; during a try: when it counts as lost."""
    tried_at: Mapped[datetime | None]
    """Start of the last try, and its fence: a try writes its result `where tried_at = ...`."""
    delivered_at: Mapped[datetime | None]
    status_code: Mapped[int | None]
    """Status of the last response; null: none."""
    error: Mapped[str | None]
    """Reason for the last failure."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Event(Base):
    """An event without deliveries yet: a claim writes one row, however many webhooks subscribe, and
    `python -m worker ops` creates the deliveries."""

    __tablename__ = "events"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    event: Mapped[str]
    payload: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
