"""Webhooks and what they are sent."""

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
    """An address that is told what happens to a project's jobs."""

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
    """The types of event it is told of."""
    secret: Mapped[str]
    """`whsec_...`, in the clear because it signs."""
    old_secret: Mapped[str | None]
    """The one before a rotation: signs beside the new one until `old_secret_until`."""
    old_secret_until: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None]
    failing_since: Mapped[datetime | None]
    """The first failure since the last success."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Delivery(Base):
    """One event for one webhook: the outbox, written with what it tells of."""

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
    """The `webhook-id`: the same at every try, so that a receiver knows a repetition."""
    webhook_id: Mapped[UUID] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    event: Mapped[str]
    payload: Mapped[dict[str, Any]]
    tries: Mapped[int] = mapped_column(server_default="0")
    """Since it was written, or asked for again."""
    next_try_at: Mapped[datetime | None] = mapped_column(server_default=func.now())
    """Null: delivered, or given up.  While it is being tried: when that is taken for lost."""
    tried_at: Mapped[datetime | None]
    """The last try's beginning, and its fence: a try writes its result `where tried_at = ...`."""
    delivered_at: Mapped[datetime | None]
    status_code: Mapped[int | None]
    """Of the last answer; null where there was none."""
    error: Mapped[str | None]
    """Why the last try failed."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Event(Base):
    """What webhooks are to be told, and no delivery yet: a claim writes one row, however many
    webhooks listen, and `python -m worker ops` makes the deliveries of it."""

    __tablename__ = "events"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    event: Mapped[str]
    payload: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
