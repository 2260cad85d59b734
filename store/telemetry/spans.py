"""Spans of a trace, exported to an OpenTelemetry collector if one is configured."""

from collections.abc import Mapping
from types import TracebackType
from typing import Literal, Self

from store.settings import Settings
from store.telemetry.trace import Trace

Kind = Literal["server", "consumer"]
Attributes = Mapping[str, str | int | float | bool]


class Span:
    """A span that is not exported, and only passes on its trace context."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        """Trace context, the parent of the spans below."""

    def begin(self, name: str, *, seconds_ago: float = 0.0) -> "Span":  # noqa: ARG002 - not exported
        """Begin a child span, to be ended."""
        return self

    def tell(self, attributes: Attributes, *, name: str | None = None) -> None:
        """Add attributes, and the name where that is known only now."""

    def fail(self, why: str) -> None:
        """Mark the span as failed."""

    def end(self) -> None:
        """End the span; only the first call counts."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        if error is not None:
            self.fail(type(error).__name__)
        self.end()


class Spans:
    """Spans of a process without a collector."""

    def begin(
        self,
        name: str,  # noqa: ARG002 - not exported
        *,
        parent: Trace | None,
        kind: Kind,  # noqa: ARG002
        attributes: Attributes,  # noqa: ARG002
        seconds_ago: float = 0.0,  # noqa: ARG002
    ) -> Span:
        """Begin a span, to be ended; without a parent the span begins a trace."""
        return Span(parent or Trace.new())

    def close(self) -> None:
        """Export the remaining spans."""


def spans_of(settings: Settings, *, service: str) -> Spans:
    """Return a process's spans.  Without a collector OpenTelemetry is not loaded."""
    if not settings.otlp_endpoint:
        return Spans()
    from store.telemetry.otlp import ExportedSpans

    return ExportedSpans(service)
