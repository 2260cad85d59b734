"""Detection of a trainer that runs without progress."""

from collections import deque
from statistics import median

from store.log.log import Entry

PROGRESS = frozenset({"phase", "metric", "eval", "checkpoint"})
"""Kinds of record that a trainer writes only when it makes progress."""
USUAL_STEPS = 20
"""Number of recent steps; the patience is this number times their median duration."""


class Watchdog:
    """The stall detector of one trainer.  Times are time.monotonic() when a record was read, which
    ignores clock adjustments."""

    def __init__(self, *, least_seconds: float, begun_at: float) -> None:
        """`least_seconds`: shortest silence that counts as a stall, however fast the steps are."""
        self._least_seconds = least_seconds
        self._progress_at = begun_at
        self._stepped_at: float | None = None
        self._step_seconds: deque[float] = deque(maxlen=USUAL_STEPS)
        self._where = "before its first record"

    def note(self, entry: Entry, at: float) -> None:
        """Note a record that has been read."""
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
        """Describe a stall; None: the trainer made progress recently.

        Call it only after everything that the trainer had written was read.
        """
        silent_seconds = at - self._progress_at
        if silent_seconds <= self.patience_seconds:
            return None
        return f"the trainer made no progress for {silent_seconds:.0f} s: {self._where}"
