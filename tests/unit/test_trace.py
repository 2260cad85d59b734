"""Parsing of `traceparent` as in W3C's Trace Context."""

import pytest

from store.telemetry.trace import Trace

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("text", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),  # other flags are others' to know
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be", True),
    ],
)
def test_a_valid_header_is_read_and_written_in_this_version(text: str, sampled: bool):
    read = Trace.parse(text)
    assert read == Trace(TRACE, SPAN, sampled=sampled)
    assert str(read) == f"00-{TRACE}-{SPAN}-{'01' if sampled else '00'}"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f" 00-{TRACE}-{SPAN}-01",
    ],
)
def test_an_invalid_header_is_ignored(text: str | None):
    assert Trace.parse(text) is None


def test_a_new_trace_is_valid_and_unique():
    first, second = Trace.new(), Trace.new()
    assert Trace.parse(str(first)) == first
    assert first.trace_id != second.trace_id
