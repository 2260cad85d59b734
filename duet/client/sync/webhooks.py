# Written by `python -m duet.client.generate_sync`; edit duet/client/aio instead.

"""Webhooks: addresses that are told what happens to jobs (docs/webhooks.md)."""

import time
from collections.abc import Iterator, Sequence

from duet.client.sync.transport import Transport
from duet.objects.webhook import Delivery, NewWebhook, Webhook

LOOK_SECONDS = 0.25
"""Between looks at whether a test was sent."""


class Webhooks:
    """`client.webhooks`."""

    def __init__(self, http: Transport) -> None:
        self._http = http

    def create(
        self, url: str, *, events: Sequence[str] | None = None, description: str | None = None
    ) -> NewWebhook:
        """Have an address told of these types of event, or of all; its secret is shown once."""
        body = _given(url=url, events=events, description=description)
        return self._http.post("/v1/webhooks", NewWebhook, json=body)

    def list(self, *, limit: int | None = None) -> Iterator[Webhook]:
        """The newest first."""
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
        """Change it; None: stays."""
        body = _given(url=url, events=events, description=description, enabled=enabled)
        return self._http.patch(f"/v1/webhooks/{webhook}", Webhook, json=body)

    def delete(self, webhook: str) -> None:
        """With its deliveries."""
        self._http.delete(f"/v1/webhooks/{webhook}")

    def rotate_secret(self, webhook: str) -> NewWebhook:
        """Give it a new secret, shown this once."""
        return self._http.post(f"/v1/webhooks/{webhook}/rotate-secret", NewWebhook)

    def test(self, webhook: str, *, within_seconds: float = 60) -> Delivery:
        """Have it sent a test event, and wait for how it is taken.

        Its `status` is `pending` where it was not sent within that time.
        """
        delivery = self._http.post(f"/v1/webhooks/{webhook}/test", Delivery)
        ends_at = time.monotonic() + within_seconds
        while delivery.status == "pending" and time.monotonic() < ends_at:
            time.sleep(LOOK_SECONDS)
            delivery = self.delivery(webhook, delivery.id)
        return delivery

    def delivery(self, webhook: str, delivery: str) -> Delivery:
        """One of what it was and is to be sent."""
        return self._http.get(f"/v1/webhooks/{webhook}/deliveries/{delivery}", Delivery)

    def deliveries(self, webhook: str, *, limit: int | None = None) -> Iterator[Delivery]:
        """What it was and is to be sent, the newest first."""
        return self._http.pages(f"/v1/webhooks/{webhook}/deliveries", Delivery, limit=limit)

    def redeliver(self, webhook: str, delivery: str) -> Delivery:
        """Send it once more."""
        return self._http.post(f"/v1/webhooks/{webhook}/deliveries/{delivery}/redeliver", Delivery)


def _given(**fields: object) -> dict[str, object]:
    return {field: value for field, value in fields.items() if value is not None}
