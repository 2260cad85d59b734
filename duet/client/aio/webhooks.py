"""Webhooks: addresses that receive events about jobs (docs/webhooks.md)."""

import time
from collections.abc import AsyncIterator, Sequence

import anyio

from duet.client.aio.transport import AsyncTransport
from duet.objects.webhook import Delivery, NewWebhook, Webhook

LOOK_SECONDS = 0.25
"""Interval between polls of a test delivery."""


class AsyncWebhooks:
    """`client.webhooks`."""

    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def create(
        self, url: str, *, events: Sequence[str] | None = None, description: str | None = None
    ) -> NewWebhook:
        """Add a webhook for these event types, or for all; its secret is shown only once."""
        body = _given(url=url, events=events, description=description)
        return await self._http.post("/v1/webhooks", NewWebhook, json=body)

    def list(self, *, limit: int | None = None) -> AsyncIterator[Webhook]:
        """List the webhooks, newest first."""
        return self._http.pages("/v1/webhooks", Webhook, limit=limit)

    async def get(self, webhook: str) -> Webhook:
        return await self._http.get(f"/v1/webhooks/{webhook}", Webhook)

    async def update(
        self,
        webhook: str,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        description: str | None = None,
        enabled: bool | None = None,
    ) -> Webhook:
        """Change a webhook; None: unchanged."""
        body = _given(url=url, events=events, description=description, enabled=enabled)
        return await self._http.patch(f"/v1/webhooks/{webhook}", Webhook, json=body)

    async def delete(self, webhook: str) -> None:
        """Delete a webhook with its deliveries."""
        await self._http.delete(f"/v1/webhooks/{webhook}")

    async def rotate_secret(self, webhook: str) -> NewWebhook:
        """Set a new secret, shown only once."""
        return await self._http.post(f"/v1/webhooks/{webhook}/rotate-secret", NewWebhook)

    async def test(self, webhook: str, *, within_seconds: float = 60) -> Delivery:
        """Send a test event and wait for the result.

        Its `status` is `pending` if it was not sent within that time.
        """
        delivery = await self._http.post(f"/v1/webhooks/{webhook}/test", Delivery)
        ends_at = time.monotonic() + within_seconds
        while delivery.status == "pending" and time.monotonic() < ends_at:
            await anyio.sleep(LOOK_SECONDS)
            delivery = await self.delivery(webhook, delivery.id)
        return delivery

    async def delivery(self, webhook: str, delivery: str) -> Delivery:
        """Return one of a webhook's deliveries."""
        return await self._http.get(f"/v1/webhooks/{webhook}/deliveries/{delivery}", Delivery)

    def deliveries(self, webhook: str, *, limit: int | None = None) -> AsyncIterator[Delivery]:
        """List a webhook's deliveries, sent and pending, newest first."""
        return self._http.pages(f"/v1/webhooks/{webhook}/deliveries", Delivery, limit=limit)

    async def redeliver(self, webhook: str, delivery: str) -> Delivery:
        """Send a delivery again."""
        return await self._http.post(
            f"/v1/webhooks/{webhook}/deliveries/{delivery}/redeliver", Delivery
        )


def _given(**fields: object) -> dict[str, object]:
    return {field: value for field, value in fields.items() if value is not None}
