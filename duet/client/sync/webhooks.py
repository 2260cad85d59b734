# Written by `python -m duet.client.generate_sync`; edit duet/client/aio instead.

"""Webhooks: addresses that receive events about jobs (docs/webhooks.md)."""

import time
from collections.abc import Iterator, Sequence

from duet.client.sync.transport import Transport
from duet.objects.webhook import Delivery, NewWebhook, Webhook

LOOK_SECONDS = 0.25
"""Interval between polls of a test delivery."""


class Webhooks:
    """`client.webhooks`."""

    def __init__(self, http: Transport) -> None:
        self._http = http

    def create(
        self, url: str, *, events: Sequence[str] | None = None, description: str | None = None
    ) -> NewWebhook:
        """Add a webhook for these event types, or for all; its secret is shown only once."""
        body = _given(url=url, events=events, description=description)
        return self._http.post("/v1/webhooks", NewWebhook, json=body)

    def list(self, *, limit: int | None = None) -> Iterator[Webhook]:
        """List the webhooks, newest first."""
        return self._http.pages("/v1/webhooks", Webhook, limit=limit)

    def get(self, webhook: str) -> Webhook:
        return self._http.get(f"/v1/webhooks/{webhook}", Webhook)

    def update(
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
        return self._http.patch(f"/v1/webhooks/{webhook}", Webhook, json=body)

    def delete(self, webhook: str) -> None:
        """Delete a webhook with its deliveries."""
        self._http.delete(f"/v1/webhooks/{webhook}")

    def rotate_secret(self, webhook: str) -> NewWebhook:
        """Set a new secret, shown only once."""
        return self._http.post(f"/v1/webhooks/{webhook}/rotate-secret", NewWebhook)

    def test(self, webhook: str, *, within_seconds: float = 60) -> Delivery:
        """Send a test event and wait for the result.

        Its `status` is `pending` if it was not sent within that time.
        """
        delivery = self._http.post(f"/v1/webhooks/{webhook}/test", Delivery)
        ends_at = time.monotonic() + within_seconds
        while delivery.status == "pending" and time.monotonic() < ends_at:
            time.sleep(LOOK_SECONDS)
            delivery = self.delivery(webhook, delivery.id)
        return delivery

    def delivery(self, webhook: str, delivery: str) -> Delivery:
        """Return one of a webhook's deliveries."""
        return self._http.get(f"/v1/webhooks/{webhook}/deliveries/{delivery}", Delivery)

    def deliveries(self, webhook: str, *, limit: int | None = None) -> Iterator[Delivery]:
        """List a webhook's deliveries, sent and pending, newest first."""
        return self._http.pages(f"/v1/webhooks/{webhook}/deliveries", Delivery, limit=limit)

    def redeliver(self, webhook: str, delivery: str) -> Delivery:
        """Send a delivery again."""
        return self._http.post(f"/v1/webhooks/{webhook}/deliveries/{delivery}/redeliver", Delivery)


def _given(**fields: object) -> dict[str, object]:
    return {field: value for field, value in fields.items() if value is not None}
