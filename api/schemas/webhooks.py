"""Webhooks and their deliveries, as the API takes and shows them."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, with_config
from typing_extensions import TypedDict

from api.schemas.base import View
from api.schemas.paging import NO_NUL
from grpo.net.public_address import MAX_URL_LENGTH
from store import ids
from store.tables import Delivery, Webhook
from store.webhooks.events import EVENT_TYPES, EventType

Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_URL_LENGTH,
        pattern=NO_NUL,
        description="http or https, with a public address unless the operator allows others.",
    ),
]
Events = Annotated[
    list[EventType], Field(min_length=1, max_length=100, description="Events to deliver.")
]
Description = Annotated[str, Field(max_length=500, pattern=NO_NUL, description="Free text.")]


class NewWebhook(BaseModel):
    """A webhook for events of the project's jobs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Url
    events: Events = list(EVENT_TYPES)
    description: Description = ""


@with_config(extra="forbid")
class WebhookChange(TypedDict, total=False):
    """Changes to a webhook; omitted fields keep their values."""

    url: Url
    events: Events
    description: Description
    enabled: Annotated[bool, Field(description="Whether deliveries are sent.")]


class WebhookView(View):
    """A webhook for events of the project's jobs."""

    id: str
    url: str
    events: list[str]
    description: str
    enabled: bool
    disabled_at: datetime | None
    disabled_reason: str | None
    failing_since: datetime | None = Field(
        description="The first failure since the last success; the webhook is disabled five "
        "days later."
    )
    created_at: datetime

    @classmethod
    def of(cls, webhook: Webhook) -> Self:
        return cls(**_facts(webhook))


class WebhookWithSecret(WebhookView):
    """A webhook with its new secret, shown only once."""

    secret: str = Field(description="Verifies deliveries, as specified by Standard Webhooks.")

    @classmethod
    def of(cls, webhook: Webhook) -> Self:
        return cls(**_facts(webhook), secret=webhook.secret)


class DeliveryView(View):
    """One event for one webhook."""

    id: str = Field(description="The `webhook-id` of every attempt.")
    event: str
    status: Literal["pending", "delivered", "given_up"]
    tries: int
    next_try_at: datetime | None = Field(description="Null unless pending.")
    tried_at: datetime | None
    delivered_at: datetime | None
    status_code: int | None = Field(description="HTTP status of the last answer.")
    error: str | None = Field(description="Why the last attempt failed.")
    payload: dict[str, Any]
    created_at: datetime

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        return cls(
            id=ids.encode("msg", delivery.id),
            event=delivery.event,
            status=_status(delivery),
            tries=delivery.tries,
            next_try_at=delivery.next_try_at,
            tried_at=delivery.tried_at,
            delivered_at=delivery.delivered_at,
            status_code=delivery.status_code,
            error=delivery.error,
            payload=delivery.payload,
            created_at=delivery.created_at,
        )


def _status(delivery: Delivery) -> Literal["pending", "delivered", "given_up"]:
    if delivery.delivered_at is not None:
        return "delivered"
    return "given_up" if delivery.next_try_at is None else "pending"


def _facts(webhook: Webhook) -> dict[str, Any]:
    return {
        "id": ids.encode("hook", webhook.id),
        "url": webhook.url,
        "events": webhook.events,
        "description": webhook.description,
        "enabled": webhook.disabled_at is None,
        "disabled_at": webhook.disabled_at,
        "disabled_reason": webhook.disabled_reason,
        "failing_since": webhook.failing_since,
        "created_at": webhook.created_at,
    }
