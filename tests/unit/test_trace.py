"""`traceparent` is read as W3C's Trace Context says."""

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
def test_what_is_valid_is_read_and_written_as_this_version_has_it(text: str, sampled: bool):
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
def test_what_is_not_valid_is_as_if_it_were_not_there(text: str | None):
    assert Trace.parse(text) is None


def test_a_new_trace_is_valid_and_nobody_elses():
    first, second = Trace.new(), Trace.new()
    assert Trace.parse(str(first)) == first
    assert first.trace_id != second.trace_id
