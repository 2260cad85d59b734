"""Secrets of a project."""

from datetime import datetime

from duet.objects.answer import Answer


class Secret(Answer):
    """A secret's name and dates; no answer has its value."""

    name: str
    created_at: datetime
    updated_at: datetime
    """Time at which its value was last set."""
