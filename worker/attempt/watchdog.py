"""Notices a trainer that lives but gets nowhere."""

from collections import deque
from statistics import median

from store.jobs.leases import Entry

PROGRESS = frozenset({"phase", "metric", "eval", "checkpoint"})
"""Kinds of record that a trainer writes only when it gets on."""
USUAL_STEPS = 20
"""The last so many steps say what a step usually takes, and a trainer has the time of so many."""


class Watchdog:
    """Times are time.monotonic(), when a record was read: no clock's adjustment counts."""

    def __init__(self, *, least_seconds: float, begun_at: float) -> None:
        """`least_seconds`: however fast the steps are, so much silence is no stall."""
        self._least_seconds = least_seconds
        self._progress_at = begun_at
        self._stepped_at: float | None = None
        self._step_seconds: deque[float] = deque(maxlen=USUAL_STEPS)
        self._where = "before its first record"

    def note(self, entry: Entry, at: float) -> None:
        """A record has been read."""
        if entry.kind not in PROGRESS:
            return
        self._progress_at = at
        if entry.kind == "phase":
            self._where = f"in phase {entry.payload.get('phase')!r}, step {entry.step}"
        if entry.kind == "metric":
            if self._stepped_at is not None:
                self._step_seconds.append(at - self._stepped_at)
            self._stepped_at = at

    @property
    def patience_seconds(self) -> float:
        usual = median(self._step_seconds) if self._step_seconds else 0.0
        return max(USUAL_STEPS * usual, self._least_seconds)

    def stalled(self, at: float) -> str | None:
        """How long there has been no progress, in words; None: not too long.

        To be asked only where all that the trainer had written has been read.
        """
        silent_seconds = at - self._progress_at
        if silent_seconds <= self.patience_seconds:
            return None
        return f"the trainer made no progress for {silent_seconds:.0f} s: {self._where}"
