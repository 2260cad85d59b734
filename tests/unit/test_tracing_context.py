"""`traceparent` is read as W3C's Trace Context says, whether or not spans are exported."""

import re

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from store.telemetry.tracing import Tracing, ending, trace_id, traceparent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
FORM = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture(params=["without a collector", "with one"])
def tracing(request: pytest.FixtureRequest, exporter: InMemorySpanExporter) -> Tracing:
    if request.param == "without a collector":
        return Tracing()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Tracing(provider.get_tracer("duet"), provider.shutdown)


def begun(tracing: Tracing, parent: str | None) -> str:
    with ending(
        tracing.begin("GET", kind=SpanKind.SERVER, parent=parent, attributes={"a": 1})
    ) as span:
        return traceparent(span)


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        (f"00-{TRACE}-{SPAN}-01", "01"),
        (f"00-{TRACE}-{SPAN}-00", "00"),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be", "01"),
    ],
)
def test_a_valid_parents_trace_goes_on_and_is_written_as_this_version_has_it(
    tracing: Tracing, text: str, flags: str
):
    written = begun(tracing, text)
    assert FORM.fullmatch(written)
    assert trace_id(written) == TRACE
    assert written.endswith(flags)
    assert trace_id(begun(tracing, written)) == TRACE


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "00",
        "nonsense",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01\n00-x",
        f"00-{TRACE}-\u0661{SPAN[1:]}-01",
    ],
)
def test_an_invalid_parent_is_as_if_it_were_not_there(
    tracing: Tracing, exporter: InMemorySpanExporter, text: str | None
):
    first, second = begun(tracing, text), begun(tracing, text)
    assert FORM.fullmatch(first)
    assert len({trace_id(first), trace_id(second), TRACE}) == 3
    assert all(span.parent is None for span in exporter.get_finished_spans())


def test_an_error_is_told_by_its_type_alone(exporter: InMemorySpanExporter):
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = Tracing(provider.get_tracer("duet"))
    whole = tracing.begin("whole", kind=SpanKind.CONSUMER, parent=None, attributes={})
    with pytest.raises(RuntimeError), ending(tracing.begin_part(whole, "part")):
        raise RuntimeError("password=hunter2")
    [part] = exporter.get_finished_spans()
    assert dict(part.attributes or {}) == {"error.type": "RuntimeError"}
    assert "hunter2" not in part.to_json()
    assert part.parent == whole.get_span_context()
