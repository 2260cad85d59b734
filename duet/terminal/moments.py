"""Times in the reader's local time zone, with its name."""

import re
from datetime import datetime

ISO_MOMENT = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)")


def moment(at: datetime) -> str:
    """Return date, time and zone, as `2026-11-30 12:44:09 CET`."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S %Z}"


def time_of_day(at: datetime) -> str:
    """Return time and zone, as `12:44:09 CET`."""
    return f"{at.astimezone():%H:%M:%S %Z}"


def in_local_time(text: str) -> str:
    """Convert the ISO 8601 times in a server's message to local time."""
    return ISO_MOMENT.sub(lambda found: moment(datetime.fromisoformat(found[0])), text)
