"""Trace context in the format of W3C's `traceparent` (w3.org/TR/trace-context)."""

import re
import secrets
from dataclasses import dataclass
from typing import Self

FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
SAMPLED = 1


@dataclass(frozen=True)
class Trace:
    """Trace context, the parent of the work that follows."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits."""
    sampled: bool
    """Whether the trace's spans are to be exported."""

    @classmethod
    def new(cls) -> Self:
        """Begin a new trace."""
        return cls(secrets.token_hex(16), secrets.token_hex(8), sampled=True)

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """Parse a `traceparent`; None: missing or invalid.

        A later version may append further fields.
        """
        found = FORM.fullmatch(text or "")
        if found is None:
            return None
        version, trace_id, span_id, flags, more = found.groups()
        if version == "ff" or (version == "00" and more):
            return None
        if not int(trace_id, 16) or not int(span_id, 16):
            return None
        return cls(trace_id, span_id, sampled=bool(int(flags, 16) & SAMPLED))

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"
