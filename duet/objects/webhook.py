"""Webhooks: addresses that are told what happens to a project's jobs."""

from datetime import datetime
from typing import Any

from duet.objects.answer import Answer


class Webhook(Answer):
    id: str
    url: str
    events: list[str]
    description: str
    enabled: bool
    disabled_at: datetime | None = None
    disabled_reason: str | None = None
    failing_since: datetime | None = None
    created_at: datetime


class NewWebhook(Webhook):
    """As it is shown once, when its secret is new."""

    secret: str
    """Verifies what it is sent."""


class Delivery(Answer):
    """One event for one webhook."""

    id: str
    """The `webhook-id` of each try."""
    event: str
    status: str
    """`pending`, `delivered` or `given_up`."""
    tries: int
    next_try_at: datetime | None = None
    tried_at: datetime | None = None
    delivered_at: datetime | None = None
    status_code: int | None = None
    error: str | None = None
    payload: dict[str, Any]
    created_at: datetime
