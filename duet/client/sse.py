"""The subset of server-sent events that Duet sends (https://html.spec.whatwg.org/#event-stream)."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Event:
    name: str
    data: str


@dataclass
class EventReader:
    """Parser of a stream's lines; comments (pings) and events without data are skipped."""

    _name: str = "message"
    _data: list[str] = field(default_factory=list)

    def read(self, line: str) -> Event | None:
        """Feed one line; return the event that it completes, if any."""
        if not line:
            event = Event(self._name, "\n".join(self._data)) if self._data else None
            self._name, self._data = "message", []
            return event
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._name = value
        elif name == "data":
            self._data.append(value)
        return None
