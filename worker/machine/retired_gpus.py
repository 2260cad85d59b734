"""GPUs that a trainer could not use: their slots take no more jobs until the worker restarts.

A driver that is too old, a build of torch for the CPU or a card that fell off the bus would fail
every job of the queue, one after another.
"""

import threading
from collections.abc import Sequence


class RetiredGpus:
    """The GPUs of one worker that failed, with their reasons; for use by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reasons: dict[str, str] = {}

    def add(self, gpus: Sequence[str], reason: str) -> None:
        with self._lock:
            self._reasons |= dict.fromkeys(gpus, reason)

    def problem(self, gpus: Sequence[str]) -> str | None:
        """Return why no job can train on any of these GPUs; None: one can, or there are none."""
        with self._lock:
            reasons = [self._reasons.get(gpu) for gpu in gpus]
        if not reasons or None in reasons:
            return None
        return f"GPU {', '.join(gpus)}: {reasons[0]}"
