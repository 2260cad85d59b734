"""Pieces of work in a trace, told to an OpenTelemetry collector where one is set."""

from collections.abc import Mapping
from types import TracebackType
from typing import Literal, Self

from store.settings import Settings
from store.telemetry.trace import Trace

Kind = Literal["server", "consumer"]
Attributes = Mapping[str, str | int | float | bool]


class Span:
    """One that nobody is told of: all that it does is to pass its place in the trace on."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        """What is done for it names this place as its parent."""

    def begin(self, name: str, *, seconds_ago: float = 0.0) -> "Span":  # noqa: ARG002 - untold
        """A part of it, to be ended."""
        return self

    def tell(self, attributes: Attributes, *, name: str | None = None) -> None:
        """Say more of it, and what it is called where that is known only now."""

    def fail(self, why: str) -> None:
        """Say that it did not do what it was for."""

    def end(self) -> None:
        """The first call counts."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        if error is not None:
            self.fail(type(error).__name__)
        self.end()


class Spans:
    """Of a process without a collector."""

    def begin(
        self,
        name: str,  # noqa: ARG002 - nobody is told
        *,
        parent: Trace | None,
        kind: Kind,  # noqa: ARG002
        attributes: Attributes,  # noqa: ARG002
        seconds_ago: float = 0.0,  # noqa: ARG002
    ) -> Span:
        """A span, to be ended; without a parent a trace begins with it."""
        return Span(parent or Trace.new())

    def close(self) -> None:
        """Tell what has not been told yet."""


def spans_of(settings: Settings, *, service: str) -> Spans:
    """Those of a process.  Without a collector nothing of OpenTelemetry is even loaded."""
    if not settings.otlp_endpoint:
        return Spans()
    from store.telemetry.otlp import ExportedSpans

    return ExportedSpans(service)
