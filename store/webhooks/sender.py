"""Sender of signed messages by Standard Webhooks, with bounded time."""

import json
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpcore
from standardwebhooks import Webhook as Signer
from typing_extensions import override

from store.security.public_address import AddressRefused, CheckedBackend, Resolver, parsed, resolve

CONNECT_SECONDS = 5.0
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
            status_code = self._status(message, deadline=began + self.timeout_seconds)
            error = None if 200 <= status_code < 300 else f"it answered {status_code}"
        except AddressRefused as refused:
            error = refused.detail
        except httpcore.TimeoutException:
            error = f"no answer within {self.timeout_seconds:g} s"
        except (httpcore.NetworkError, httpcore.ProtocolError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        return Answer(status_code, error, time.monotonic() - began)

    def _status(self, message: Message, *, deadline: float) -> int:
        url = parsed(message.url)
        body = json.dumps(message.payload, ensure_ascii=False, separators=(",", ":"))
        plain = CheckedBackend(resolver=self.resolver, allow_private=self.allow_private)
        bounded = _BoundedBackend(plain, deadline)
        connections = httpcore.ConnectionPool(ssl_context=self.tls, network_backend=bounded)
        headers: dict[bytes | str, bytes | str] = {
            "Host": url.netloc,
            "User-Agent": USER_AGENT,
            "Content-Type": "application/json",
            "Connection": "close",
            **signed_headers(message, body),
        }
        # The address as httpx has parsed it: a second parser might read another host out of it.
        target = httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        )
        with (
            connections,
            connections.stream("POST", target, headers=headers, content=body.encode()) as answer,
        ):
            return answer.status


def signed_headers(message: Message, body: str) -> dict[str, str]:
    """Return the three headers of Standard Webhooks."""
    signatures = [
        Signer(secret).sign(msg_id=message.id, timestamp=message.at, data=body)
        for secret in message.secrets
    ]
    return {
        "webhook-id": message.id,
        "webhook-timestamp": str(int(message.at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


class _BoundedBackend(httpcore.NetworkBackend):
    """Network backend with one deadline: httpcore's own timeouts restart with each byte that a
    receiver sends."""

    def __init__(self, inner: httpcore.NetworkBackend, deadline: float) -> None:
        self._inner = inner
        self._deadline = deadline

    @override
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        left = min(CONNECT_SECONDS, _seconds_left(self._deadline))
        return _BoundedStream(self._inner.connect_tcp(host, port, left), self._deadline)


class _BoundedStream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, deadline: float) -> None:
        self._inner = inner
        self._deadline = deadline

    @override
    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _seconds_left(self._deadline))

    @override
    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _seconds_left(self._deadline))

    @override
    def close(self) -> None:
        self._inner.close()

    @override
    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = _seconds_left(self._deadline)
        inner = self._inner.start_tls(ssl_context, server_hostname, left)
        return _BoundedStream(inner, self._deadline)

    @override
    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _seconds_left(deadline: float) -> float:
    """Return the seconds until the deadline.

    Raises:
        httpcore.ReadTimeout: the deadline has passed.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left
