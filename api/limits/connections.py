"""Bounded HTTP connections: their number, a request's head, and silent time.

uvicorn bounds none of these with httptools, and only the head's size with h11
(docs/decisions/0027).
"""

import asyncio
import resource
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.errors.problems import Problem

MAX_HEAD_BYTES = 32 * 1024  # request line and headers; nginx has the same limit
MAX_HEADERS = 100
MAX_PIPELINED = 16
"""Pipelined requests of one connection that await an answer."""
HEAD_SECONDS = 10.0
"""Time for a request's head, from the connection or its first byte."""
BODY_IDLE_SECONDS = 30.0
"""Time without a byte of a body that is awaited."""
ANSWER_IDLE_SECONDS = 60.0
"""Time without the client receiving a byte of an answer."""
KEEP_ALIVE_SECONDS = 5
MAX_CONNECTIONS = 4096
OWN_FILES = 256
"""Open files reserved for everything else: the database, Redis, files."""


class _TooMuch(Exception):
    """Raised to stop the parser: the connection is refused."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, **arguments: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(**arguments)
        self._max_connections, self.limit_concurrency = self.limit_concurrency, None
        self._refusal: Problem | None = None
        self._head_since: float | None = None
        """Start of waiting for a request's head, else None."""
        self._head_bytes = self._told_bytes = self._num_headers = 0
        self._in_body = False
        self._seen_at = 0.0
        self._unsent = 0
        self._unsent_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self._head_since = self._seen_at = self.loop.time()
        if self._max_connections is not None and len(self.connections) > self._max_connections:
            detail = "this server has reached its connection limit: retry shortly"
            headers = {"Retry-After": "1"}
            self._refuse(Problem(503, "connections_exceeded", detail, headers=headers))

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            return
        self._seen_at = self.loop.time()
        if self._head_since is None and (self.cycle is None or self.cycle.response_complete):
            self._head_since = self._seen_at  # a next head, or the rest of a refused body
        # The parser reports no partial lines.
        self._head_bytes += len(data) if self._head_since is not None else 0
        super().data_received(data)
        if self._refusal is None and self._head_since is not None and self._is_too_long:
            self._refuse(_head_too_large())

    def send_400_response(self, msg: str) -> None:
        if self._refusal is None:
            super().send_400_response(msg)
        else:
            self._refuse(self._refusal)

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            self._stop(
                Problem(
                    429,
                    "pipelined",
                    f"more than {MAX_PIPELINED} requests are pending on this connection",
                )
            )
        self._head_since = self._seen_at
        self._head_bytes = self._told_bytes = self._num_headers = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Trailers count toward the head's limit too."""
        self._num_headers += 1
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_since = None
        self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def end_if_overdue(self, now: float) -> None:
        """Close a connection that has been silent for too long."""
        if self._is_overdue(now):
            self.transport.abort()

    def _is_overdue(self, now: float) -> bool:
        if self._head_since is not None and now - self._head_since > HEAD_SECONDS:
            return True
        awaited = self._in_body and not self.flow.read_paused
        if awaited and now - self._seen_at > BODY_IDLE_SECONDS:
            return True
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0 or unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, now
        return now - self._unsent_since > ANSWER_IDLE_SECONDS

    @property
    def _is_too_long(self) -> bool:
        return max(self._head_bytes, self._told_bytes) > MAX_HEAD_BYTES

    def _count(self, num_bytes: int) -> None:
        self._told_bytes += num_bytes
        if self._told_bytes > MAX_HEAD_BYTES or self._num_headers > MAX_HEADERS:
            self._stop(_head_too_large())

    def _stop(self, problem: Problem) -> None:
        """
        Raises:
            _TooMuch: in the parser, which then answers by `send_400_response`.
        """
        self._refusal = problem
        raise _TooMuch

    def _refuse(self, problem: Problem) -> None:
        """Answer and close; during another answer only close."""
        self._refusal = problem
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(_written(problem))
        self.transport.close()


def max_connections() -> int:
    """Connection limit: the files that the process may open, and at most MAX_CONNECTIONS."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, min(MAX_CONNECTIONS, files - OWN_FILES))


def _head_too_large() -> Problem:
    detail = (
        f"the request line and headers are longer than {MAX_HEAD_BYTES} bytes, or more than "
        f"{MAX_HEADERS}"
    )
    return Problem(431, "head_too_large", detail)


def _written(problem: Problem) -> bytes:
    answer = problem.answer()
    headers = [*answer.raw_headers, (b"connection", b"close")]
    lines = [b"HTTP/1.1 %d " % problem.status, *(b"\r\n%s: %s" % header for header in headers)]
    return b"".join((*lines, b"\r\n\r\n", bytes(answer.body)))
