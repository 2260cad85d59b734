"""Connections with one deadline for all that they send and receive."""

import ssl
import time
from typing import Any

import httpcore
from typing_extensions import override

CONNECT_SECONDS = 5.0
PIECE_BYTES = 16 * 1024


class BoundedBackend(httpcore.NetworkBackend):
    """Network backend with one deadline: httpcore's own timeouts restart with each byte that a
    server sends."""

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
        """Send in pieces: the timeout of a write restarts with each part that a server takes."""
        for start in range(0, len(buffer), PIECE_BYTES):
            piece = buffer[start : start + PIECE_BYTES]
            self._inner.write(piece, _seconds_left(self._deadline))

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
