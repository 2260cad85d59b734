"""Webhooks: addresses that receive events about a project's jobs."""

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
    """A webhook with its new secret, which is shown only once."""

    secret: str
    """Secret that signs its deliveries."""


class Delivery(Answer):
    """One event for one webhook."""

    id: str
    """Id of the delivery, the `webhook-id` of each try."""
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
