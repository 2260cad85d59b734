"""Durations of one trainer's steps and checkpoints, which determine its grace period."""

import math
from collections.abc import Mapping
from typing import Any

from store.log.log import Entry

STEP, SAVE = "step_time", "seconds/checkpoint"
"""Metrics of a step [s]; the second is the time of the previous checkpoint."""
STEPS = 3
"""Number of usual steps that a stopping trainer may take: its current step can be longer than the
last one, and is finished before the checkpoint is written."""
LONGEST_SECONDS = 4 * 3600.0
"""Bound on the derived time, since the trainer itself writes these figures."""


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
        """Return the time from SIGTERM to SIGKILL for finishing its step and saving.

        `least`: the setting.
        """
        derived = STEPS * self._step_seconds + self._save_seconds
        return max(least, min(derived, LONGEST_SECONDS))


def _seconds(payload: Mapping[str, Any], name: str, before: float) -> float:
    """Return a metric, or the previous value if it is missing or not a valid time."""
    value = payload.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return before
    return float(value) if math.isfinite(value) and value >= 0 else before
