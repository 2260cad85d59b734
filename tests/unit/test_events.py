"""Server-sent events as the server writes them."""

from duet.client.sse import Event, EventReader


def read(*lines: str) -> list[Event]:
    reader = EventReader()
    return [event for line in lines if (event := reader.read(line))]


def test_an_event_is_read_when_its_blank_line_has_come():
    lines = ["id: 7", "event: record", 'data: {"seq": 7}', "", "event: end", "data: {}"]
    assert read(*lines) == [Event("record", '{"seq": 7}')]


def test_pings_are_passed_over():
    assert read(": ping", "", "event: end", "data: {}", "") == [Event("end", "{}")]


def test_data_over_several_lines_is_joined():
    assert read("data: one", "data:two", "") == [Event("message", "one\ntwo")]
