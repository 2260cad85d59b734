"""Sender of signed messages by Standard Webhooks, with bounded time."""

import json
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpcore

from grpo.net.post import Poster
from grpo.net.private_addresses import EVERY, PrivateAddresses
from grpo.net.public_address import AddressRefused, Resolver, resolve
from grpo.net.signature import signed_headers

PRIVATE_SETTING = "DUET_WEBHOOKS_ALLOW_PRIVATE"
USER_AGENT = "Duet-Webhooks"


@dataclass(frozen=True)
class Message:
    """A message: payload, address and signing secrets."""

    id: str
    """The `webhook-id`, by which a receiver recognizes a repetition."""
    at: datetime
    """Time of sending by the database's clock: receivers refuse a deviation of minutes."""
    url: str
    secrets: Sequence[str]
    """Signing secrets: during a rotation the old one and the new one."""
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """The receiver's response, or the failure."""

    status_code: int | None
    """Status of the response; None: no response."""
    error: str | None
    """Reason of a failure; None: success."""
    seconds: float


@dataclass(frozen=True)
class Sender:
    """Sends messages one at a time; may be shared by threads."""

    timeout_seconds: float
    """Limit from before the connection to the response's status."""
    allow_private: bool
    resolver: Resolver = resolve
    tls: ssl.SSLContext = field(default_factory=httpcore.default_ssl_context)

    def send(self, message: Message) -> Answer:
        """Send once.  Only a 2xx is a success; redirects are not followed, proxies not used.

        The response's body is not read.
        """
        began = time.monotonic()
        status_code = None
        try:
            status_code = self._status(message)
            error = None if 200 <= status_code < 300 else f"it answered {status_code}"
        except AddressRefused as refused:
            error = refused.detail
        except httpcore.TimeoutException:
            error = f"no answer within {self.timeout_seconds:g} s"
        except (httpcore.NetworkError, httpcore.ProtocolError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        return Answer(status_code, error, time.monotonic() - began)

    def _status(self, message: Message) -> int:
        body = json.dumps(message.payload, ensure_ascii=False, separators=(",", ":"))
        signed = signed_headers(message.secrets, id=message.id, at=message.at, body=body)
        poster = Poster(private(self.allow_private), self.resolver, self.tls)
        answer = poster.post(
            message.url,
            body.encode(),
            {"User-Agent": USER_AGENT, **signed},
            seconds=self.timeout_seconds,
            most_bytes=0,
        )
        return answer.status


def private(allowed: bool) -> PrivateAddresses:
    """Return the private addresses that webhooks may lead to: all or none."""
    return PrivateAddresses(PRIVATE_SETTING, (EVERY,) if allowed else ())
