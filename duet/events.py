"""Server-sent events, as far as Duet sends them (https://html.spec.whatwg.org/#event-stream)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    name: str
    data: str


def read_events(lines: Iterable[str]) -> Iterator[Event]:
    """The events in a stream's lines; comments (pings) and events without data are passed over."""
    name, data = "message", list[str]()
    for line in lines:
        if not line:
            if data:
                yield Event(name, "\n".join(data))
            name, data = "message", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
