"""The outermost layer of every request: request id, common headers, access log, last-resort
errors."""

import re
import time
from uuid import uuid4

import structlog
from opentelemetry.trace import Span, SpanKind
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from api.errors.handlers import answer as answer_to
from api.errors.ranges import RangeRefusals
from api.telemetry.http_metrics import HttpMetrics, route_of
from store.telemetry.tracing import HEADER, Tracing, fail, trace_id, traceparent

# The page uses only this server's files: no inline script or style, no other origin.
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
    # Revalidated, by ETag where present: old and new modules of the page must not mix.
    "cache-control": "private, no-cache",
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}

PROBES = frozenset({"/livez", "/readyz", "/metrics"})
"""Paths that monitoring requests every few seconds; without spans."""
BROKEN_OFF = 500
"""Status recorded for an answer that was aborted after its start."""
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")

log = structlog.get_logger()


class Edge:
    """Pure ASGI middleware, so that streams pass through unbuffered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        span = _span(scope)
        parent = traceparent(span)
        scope.setdefault("state", {}).update(traceparent=parent, request_id=request_id)
        with bound_contextvars(request_id=request_id, trace_id=trace_id(parent)):
            await self._respond(scope, receive, _Answer(scope, send, request_id, span))

    async def _respond(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        try:
            await self._app(scope, receive, RangeRefusals(scope, receive, answer.send).send)
        except ClientDisconnect:
            pass  # the client left during its request: logged without a status
        except Exception as error:
            log.exception("request_failed", path=scope["path"])
            if answer.status is not None:
                answer.status = BROKEN_OFF
                raise  # the answer has begun: the server aborts it
            await answer_to(scope["path"], error)(scope, receive, answer.send)
        finally:
            answer.end()


class _Answer:
    """Answer to one request: adds the common headers, and is counted and logged at its end."""

    def __init__(self, scope: Scope, send: Send, request_id: str, span: Span) -> None:
        self.status: int | None = None
        """Status code; None before the response starts."""
        self._scope = scope
        self._send = send
        self._request_id = request_id
        self._span = span
        self._metrics: HttpMetrics = scope["app"].state.services.http_metrics
        self._metrics.in_flight.inc()
        self._began = time.monotonic()
        self._streamed = False
        self._ended = False

    async def send(self, message: Message) -> None:
        match message["type"]:
            case "http.response.start":
                self._begin(message)
            case "http.response.body" if not message.get("more_body"):
                self.end()
        await self._send(message)

    def _begin(self, message: Message) -> None:
        self.status = message["status"]
        headers = MutableHeaders(scope=message)
        headers["x-request-id"] = self._request_id
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        if (standing := self._scope["state"].get("rate_limit")) is not None:
            headers.update(standing.headers)
        self._streamed = headers.get("content-type", "").startswith("text/event-stream")

    def end(self) -> None:
        """End the answer; only the first call counts."""
        if self._ended:
            return
        self._ended = True
        self._metrics.in_flight.dec()
        seconds = time.monotonic() - self._began
        if self.status is not None:  # None: the client has left
            self._metrics.answered(
                self._scope, status=self.status, seconds=seconds, streamed=self._streamed
            )
        log.info(
            "request",
            method=self._scope["method"],
            path=self._scope["path"],
            status=self.status,
            seconds=round(seconds, 4),
        )
        self._end_span()

    def _end_span(self) -> None:
        """End the span, with OpenTelemetry's HTTP attributes."""
        if (route := route_of(self._scope)) is not None:
            name = f"{self._scope['method']} {route}"
            self._span.update_name(name)
            self._span.set_attribute("http.route", route)
        if self.status is not None:
            self._span.set_attribute("http.response.status_code", self.status)
            if self.status >= 500:
                fail(self._span, str(self.status))
        self._span.end()


def _span(scope: Scope) -> Span:
    """The request's span, in the trace of its `traceparent` or in a new one."""
    tracing: Tracing = scope["app"].state.services.tracing
    return (Tracing() if scope["path"] in PROBES else tracing).begin(
        scope["method"],
        kind=SpanKind.SERVER,
        parent=Headers(scope=scope).get(HEADER),
        attributes={
            "http.request.method": scope["method"],
            "url.scheme": scope["scheme"],
            "url.path": scope["path"],
        },
    )


def _request_id(headers: Headers) -> str:
    """The request id of the proxy or client if it is fit for a log; else a new one."""
    given = headers.get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else f"req_{uuid4().hex}"
