"""Spans over OTLP/HTTP: OpenTelemetry's own SDK and exporter, which read their own variables.

Loaded only where OTEL_EXPORTER_OTLP_ENDPOINT is set.
"""

import threading
import time
from importlib.metadata import version

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan

from store.telemetry.spans import Attributes, Kind, Span, Spans
from store.telemetry.trace import Trace

CLOSE_SECONDS = 3.0
"""Limit by which a collector that does not answer delays the end of a process."""
KINDS = {"server": SpanKind.SERVER, "consumer": SpanKind.CONSUMER}


class ExportedSpans(Spans):
    """Spans sent in batches by a thread of the SDK; spans that a collector rejects are dropped."""

    def __init__(self, service: str) -> None:
        ours = Resource.create({"service.name": service, "service.version": version("duet")})
        resource = ours.merge(OTELResourceDetector().detect())  # OTEL_SERVICE_NAME and the like
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("duet", version("duet"))

    def begin(
        self,
        name: str,
        *,
        parent: Trace | None,
        kind: Kind,
        attributes: Attributes,
        seconds_ago: float = 0.0,
    ) -> Span:
        begun = self._tracer.start_span(
            name,
            context=_beneath(parent),
            kind=KINDS[kind],
            attributes=attributes,
            start_time=_ago(seconds_ago),
        )
        return _Exported(self._tracer, begun)

    def close(self) -> None:
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)


class _Exported(Span):
    def __init__(self, tracer: Tracer, span: OtelSpan) -> None:
        super().__init__(_trace_of(span))
        self._tracer = tracer
        self._span = span

    def begin(self, name: str, *, seconds_ago: float = 0.0) -> Span:
        context = set_span_in_context(self._span, Context())
        begun = self._tracer.start_span(name, context=context, start_time=_ago(seconds_ago))
        return _Exported(self._tracer, begun)

    def tell(self, attributes: Attributes, *, name: str | None = None) -> None:
        self._span.set_attributes(attributes)
        if name is not None:
            self._span.update_name(name)

    def fail(self, why: str) -> None:
        self._span.set_attribute("error.type", why)
        self._span.set_status(Status(StatusCode.ERROR))

    def end(self) -> None:
        if self._span.is_recording():
            self._span.end()


def _beneath(parent: Trace | None) -> Context:
    if parent is None:
        return Context()
    context = SpanContext(
        trace_id=int(parent.trace_id, 16),
        span_id=int(parent.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(parent.sampled),
    )
    return set_span_in_context(NonRecordingSpan(context), Context())


def _trace_of(span: OtelSpan) -> Trace:
    context = span.get_span_context()
    return Trace(
        f"{context.trace_id:032x}", f"{context.span_id:016x}", sampled=context.trace_flags.sampled
    )


def _ago(seconds: float) -> int:
    """Return a past time in nanoseconds since the epoch."""
    return time.time_ns() - int(seconds * 1e9)
