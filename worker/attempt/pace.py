"""Durations of one trainer's steps and checkpoints, and so of its stop."""

import math
from collections.abc import Mapping
from typing import Any

from store.log.log import Entry

STEP, SAVE = "step_time", "seconds/checkpoint"
"""Metrics of a step [s]; the second is of the checkpoint before it."""
STEPS = 3
"""Usual steps that a trainer which was asked to stop may take: the one that it is in can be longer
than the last, and is finished before the checkpoint is written."""
LONGEST_SECONDS = 4 * 3600.0
"""Bound of what is derived, since a trainer writes these figures itself."""


class Pace:
    """The last step and the last save of one trainer [s]."""

    def __init__(self) -> None:
        self._step_seconds = 0.0
        self._save_seconds = 0.0

    def note(self, entry: Entry) -> None:
        """Note a record that has been read."""
        if entry.kind == "metric":
            self._step_seconds = _seconds(entry.payload, STEP, self._step_seconds)
            self._save_seconds = _seconds(entry.payload, SAVE, self._save_seconds)

    def grace_seconds(self, least: float) -> float:
        """Return the time from SIGTERM to SIGKILL in which it can finish its step and save.

        `least`: the setting.
        """
        derived = STEPS * self._step_seconds + self._save_seconds
        return max(least, min(derived, LONGEST_SECONDS))


def _seconds(payload: Mapping[str, Any], name: str, before: float) -> float:
    """Return a metric; the value before where there is none, or none that is a time."""
    value = payload.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return before
    return float(value) if math.isfinite(value) and value >= 0 else before
