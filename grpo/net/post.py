"""One request to an address that a user names, bounded in time and in the answer's bytes."""

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpcore

from grpo.net.bounded_backend import BoundedBackend
from grpo.net.private_addresses import PrivateAddresses
from grpo.net.public_address import CheckedBackend, Resolver, parsed, resolve


class AnswerTooLong(Exception):
    """The answer has more bytes than are read."""


@dataclass(frozen=True)
class HttpAnswer:
    """An answer's status, its headers by lower-case name, and its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Poster:
    """Sends requests, each over a connection of its own; may be shared by threads.

    Redirects are not followed, proxies not used.
    """

    private: PrivateAddresses
    resolver: Resolver = resolve
    tls: ssl.SSLContext = field(default_factory=httpcore.default_ssl_context)

    def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, seconds: float, most_bytes: int
    ) -> HttpAnswer:
        """Send JSON, and return the answer.

        Args:
            seconds: from before the connection to the answer's last byte.
            most_bytes: of the answer's body; 0: the body is not read.

        Raises:
            AddressRefused: the address is not allowed.
            AnswerTooLong: the body is longer.
            httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError: no answer.
        """
        deadline = time.monotonic() + seconds
        at = parsed(url)
        checked = CheckedBackend(resolver=self.resolver, private=self.private)
        connections = httpcore.ConnectionPool(
            ssl_context=self.tls, network_backend=BoundedBackend(checked, deadline)
        )
        sent = {
            "Host": at.netloc.decode("ascii"),
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            "Connection": "close",
            **headers,
        }
        # The address as httpx has parsed it: a second parser might read another host out of it.
        target = httpcore.URL(
            scheme=at.raw_scheme, host=at.raw_host, port=at.port, target=at.raw_path
        )
        encoded = [(name.encode("ascii"), value.encode("ascii")) for name, value in sent.items()]
        with (
            connections,
            connections.stream("POST", target, headers=encoded, content=body) as answer,
        ):
            found = {
                name.decode("latin-1").lower(): value.decode("latin-1")
                for name, value in answer.headers
            }
            return HttpAnswer(answer.status, found, _read(answer, most_bytes))


def _read(answer: httpcore.Response, most_bytes: int) -> bytes:
    if most_bytes == 0:
        return b""
    body = bytearray()
    for chunk in answer.iter_stream():
        body += chunk
        if len(body) > most_bytes:
            raise AnswerTooLong
    return bytes(body)
