"""Secrets of a project."""

from datetime import datetime

from duet.objects.answer import Answer


class Secret(Answer):
    """A secret's name and dates; no answer has its value."""

    name: str
    host: str | None = None
    """Host to which rewards may send it as a key; None: to none."""
    created_at: datetime
    updated_at: datetime
    """Time at which its value was last set."""
