"""Server-sent events, and the disconnection of slow readers."""

import asyncio
from collections.abc import AsyncIterator

import anyio
import structlog
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

LOOKS_IN_PATIENCE = 30
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # X-Accel-Buffering: for nginx

log = structlog.get_logger()


def event(data: str, name: str, *, id: int | None = None) -> bytes:
    """Encode an event; `data` is one ASCII line: many clients treat U+2028 and similar as line
    ends."""
    number = "" if id is None else f"id: {id}\r\n"
    return f"{number}event: {name}\r\ndata: {data}\r\n\r\n".encode("ascii")


class SlowReaders:
    """Streams with a pending send, and since when.

    One task watches them all: a timer per chunk would cost more than sending it.
    """

    def __init__(self, send_seconds: float) -> None:
        self._send_seconds = send_seconds
        self._sending: dict[anyio.CancelScope, float] = {}

    async def run(self) -> None:
        """Drop readers that do not receive a chunk in time, until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(self._send_seconds / LOOKS_IN_PATIENCE)
            for stream, since in self._sending.items():
                if clock() - since > self._send_seconds:
                    stream.cancel()

    def watched(self, send: Send, stream: anyio.CancelScope) -> Send:
        """Send; a stream that takes too long is cancelled."""
        clock, sending = asyncio.get_running_loop().time, self._sending

        async def watched_send(message: Message) -> None:
            sending[stream] = clock()
            try:
                await send(message)
            finally:
                del sending[stream]

        return watched_send


class EventStream(StreamingResponse):
    """Response that sends events until the reader is dropped; a client resumes by its last event's
    id, so no state is kept for it."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[bytes], slow_readers: SlowReaders) -> None:
        super().__init__(events, headers=HEADERS)
        self._slow_readers = slow_readers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with anyio.CancelScope() as stream:
            await super().__call__(scope, receive, self._slow_readers.watched(send, stream))
        if stream.cancelled_caught:
            log.warning("slow_reader_dropped", path=scope["path"])
