"""Server-sent events as the server writes them."""

from duet.events import Event, read_events


def test_an_event_is_read_when_its_blank_line_has_come():
    lines = ["id: 7", "event: record", 'data: {"seq": 7}', "", "event: end", "data: {}"]
    assert list(read_events(lines)) == [Event("record", '{"seq": 7}')]


def test_pings_are_passed_over():
    assert list(read_events([": ping", "", "event: end", "data: {}", ""])) == [Event("end", "{}")]


def test_data_over_several_lines_is_joined():
    assert list(read_events(["data: one", "data:two", ""])) == [Event("message", "one\ntwo")]
