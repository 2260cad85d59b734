"""Webhooks: addresses that are told what happens to jobs (docs/webhooks.md)."""

import time
from collections.abc import AsyncIterator, Sequence

import anyio

from duet.client.aio.transport import AsyncTransport
from duet.objects.webhook import Delivery, NewWebhook, Webhook

LOOK_SECONDS = 0.25
"""Between looks at whether a test was sent."""


class AsyncWebhooks:
    """`client.webhooks`."""

    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def create(
        self, url: str, *, events: Sequence[str] | None = None, description: str | None = None
    ) -> NewWebhook:
        """Have an address told of these types of event, or of all; its secret is shown once."""
        body = _given(url=url, events=events, description=description)
        return await self._http.post("/v1/webhooks", NewWebhook, json=body)

    def list(self, *, limit: int | None = None) -> AsyncIterator[Webhook]:
        """The newest first."""
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
        """Change it; None: stays."""
        body = _given(url=url, events=events, description=description, enabled=enabled)
        return await self._http.patch(f"/v1/webhooks/{webhook}", Webhook, json=body)

    async def delete(self, webhook: str) -> None:
        """With its deliveries."""
        await self._http.delete(f"/v1/webhooks/{webhook}")

    async def rotate_secret(self, webhook: str) -> NewWebhook:
        """Give it a new secret, shown this once."""
        return await self._http.post(f"/v1/webhooks/{webhook}/rotate-secret", NewWebhook)

    async def test(self, webhook: str, *, within_seconds: float = 60) -> Delivery:
        """Have it sent a test event, and wait for how it is taken.

        Its `status` is `pending` where it was not sent within that time.
        """
        delivery = await self._http.post(f"/v1/webhooks/{webhook}/test", Delivery)
        ends_at = time.monotonic() + within_seconds
        while delivery.status == "pending" and time.monotonic() < ends_at:
            await anyio.sleep(LOOK_SECONDS)
            delivery = await self.delivery(webhook, delivery.id)
        return delivery

    async def delivery(self, webhook: str, delivery: str) -> Delivery:
        """One of what it was and is to be sent."""
        return await self._http.get(f"/v1/webhooks/{webhook}/deliveries/{delivery}", Delivery)

    def deliveries(self, webhook: str, *, limit: int | None = None) -> AsyncIterator[Delivery]:
        """What it was and is to be sent, the newest first."""
        return self._http.pages(f"/v1/webhooks/{webhook}/deliveries", Delivery, limit=limit)

    async def redeliver(self, webhook: str, delivery: str) -> Delivery:
        """Send it once more."""
        return await self._http.post(
            f"/v1/webhooks/{webhook}/deliveries/{delivery}/redeliver", Delivery
        )


def _given(**fields: object) -> dict[str, object]:
    return {field: value for field, value in fields.items() if value is not None}
