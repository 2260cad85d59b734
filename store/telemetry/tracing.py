"""OpenTelemetry traces: its API for every span, its SDK only if a collector is configured."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version

from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    NoOpTracer,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from store.settings import Settings

HEADER = "traceparent"  # w3.org/TR/trace-context
CLOSE_SECONDS = 3.0
"""Maximum time by which an unresponsive collector delays the end of a process."""

W3C = TraceContextTextMapPropagator()


class Tracing:
    """A process's spans.  By default they are not exported, and only propagate their trace."""

    def __init__(
        self, tracer: Tracer | None = None, shutdown: Callable[[], None] = lambda: None
    ) -> None:
        self._tracer = tracer or NoOpTracer()
        self._shutdown = shutdown

    def begin(
        self,
        name: str,
        *,
        kind: SpanKind,
        parent: str | None,
        attributes: Mapping[str, str | int],
        seconds_ago: float = 0.0,
    ) -> Span:
        """Begin a span, to be ended.  `parent`: a `traceparent`; without a valid one the span
        begins a trace."""
        span = self._tracer.start_span(
            name,
            context=W3C.extract({} if parent is None else {HEADER: parent}, Context()),
            kind=kind,
            attributes=attributes,
            start_time=_ago(seconds_ago),
        )
        return span if span.get_span_context().is_valid else NonRecordingSpan(_new_context())

    def begin_part(self, whole: Span, name: str, *, seconds_ago: float = 0.0) -> Span:
        """Begin a span beneath another, to be ended."""
        context = set_span_in_context(whole, Context())
        return self._tracer.start_span(name, context=context, start_time=_ago(seconds_ago))

    def close(self) -> None:
        """Export the remaining spans."""
        closing = threading.Thread(target=self._shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)


def open_tracing(settings: Settings, *, service: str) -> Tracing:
    """Return a process's tracing.  Without a collector OpenTelemetry's SDK is not loaded."""
    if not settings.otlp_endpoint:
        return Tracing()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    ours = Resource.create({"service.name": service, "service.version": version("duet")})
    resource = ours.merge(OTELResourceDetector().detect())  # OTEL_SERVICE_NAME and the like
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider.get_tracer("duet", version("duet")), provider.shutdown)


def traceparent(span: Span) -> str:
    """Return a span as a W3C `traceparent`, the parent of the work beneath it."""
    carrier: dict[str, str] = {}
    W3C.inject(carrier, set_span_in_context(span, Context()))
    return carrier[HEADER]


def trace_id(parent: str) -> str:
    """Return the trace of a `traceparent` that `traceparent` wrote: 32 hexadecimal digits."""
    return parent.split("-")[1]


@contextmanager
def ending(span: Span) -> Iterator[Span]:
    """End the span with the block; an error marks the span as failed by its type alone, since its
    message may hold secrets."""
    try:
        yield span
    except BaseException as error:
        fail(span, type(error).__name__)
        raise
    finally:
        span.end()


def fail(span: Span, why: str) -> None:
    """Mark the span as failed."""
    span.set_attribute("error.type", why)
    span.set_status(Status(StatusCode.ERROR))


def _new_context() -> SpanContext:
    return SpanContext(
        secrets.randbits(128), secrets.randbits(64), False, TraceFlags(TraceFlags.SAMPLED)
    )


def _ago(seconds: float) -> int:
    """Return a past time in nanoseconds since the epoch."""
    return time.time_ns() - int(seconds * 1e9)
