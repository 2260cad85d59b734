"""Around every request: its id, the headers of all answers, a line in the log, the last resort."""

import re
import time
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from api.answering import answer as answer_to
from api.http_metrics import HttpMetrics
from api.problems import Problem
from store.trace import Trace

# The page is files of our own: no inline script or style, nothing from elsewhere.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    # Revalidated, by ETag where there is one: an old module of the page must not meet a new one.
    "cache-control": "private, no-cache",
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}

BROKEN_OFF = 500
"""How an answer counts that had begun well."""
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")

log = structlog.get_logger()


class Edge:
    """Pure ASGI, so that streams pass through it as they come."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers)
        trace = Trace.parse(headers.get("traceparent")) or Trace.new()
        scope.setdefault("state", {})["trace"] = trace
        with (
            bound_contextvars(request_id=request_id, trace_id=trace.trace_id),
            _metrics(scope).in_flight.track_inprogress(),
        ):
            await self._answer(scope, receive, _Answer(send, request_id))

    async def _answer(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        began = time.monotonic()
        try:
            await self._app(scope, receive, _RangeRefusals(scope, receive, answer.send).send)
        except Exception as error:
            log.exception("request_failed", path=scope["path"])
            if answer.status is not None:
                answer.status = BROKEN_OFF
                raise  # the answer has begun: the server breaks it off
            await answer_to(scope["path"], error)(scope, receive, answer.send)
        finally:
            seconds = time.monotonic() - began
            log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=answer.status,
                seconds=round(seconds, 4),
            )
            if answer.status is not None:  # else who asked has gone
                _metrics(scope).answered(
                    scope, status=answer.status, seconds=seconds, streamed=answer.streamed
                )


class _Answer:
    """What leaves for one request: with the headers of all answers, and noted."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status: int | None = None
        """None: it has not begun."""
        self.streamed = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = self._request_id
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            self.streamed = headers.get("content-type", "").startswith("text/event-stream")
        await self._send(message)


def _metrics(scope: Scope) -> HttpMetrics:
    return scope["app"].state.services.http_metrics


def _request_id(headers: Headers) -> str:
    """That of the proxy before us or of the client, where it is fit for a log; else a new one."""
    given = headers.get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else f"req_{uuid4().hex}"


class _RangeRefusals:
    """A Range that cannot be answered: what sends files says so in plain text, or in nothing."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._refused = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and (problem := _range_problem(message)):
            self._refused = True
            respond = answer_to(self._scope["path"], problem)
            await respond(self._scope, self._receive, self._send)
        elif not self._refused:
            await self._send(message)


def _range_problem(message: Message) -> Problem | None:
    headers = Headers(raw=message["headers"])
    if message["status"] == 416:
        size = headers["content-range"]
        detail = f"the range lies outside the file: {size.removeprefix('bytes */')} bytes"
        return Problem(416, "range_not_satisfiable", detail, headers={"Content-Range": size})
    if message["status"] == 400 and headers.get("content-type", "").startswith("text/plain"):
        detail = "the Range cannot be read: write bytes=FIRST-LAST"
        return Problem(400, "invalid_range", detail)
    return None
