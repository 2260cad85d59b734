"""GPUs that a trainer could not use: their slots take no more jobs until the worker restarts.

An outdated driver, a CPU build of torch or a card that fell off the bus would otherwise fail every
job of the queue, one after another.
"""

import threading
from collections.abc import Sequence


class RetiredGpus:
    """The failed GPUs of one worker with the reasons; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reasons: dict[str, str] = {}

    def add(self, gpus: Sequence[str], reason: str) -> None:
        with self._lock:
            self._reasons |= dict.fromkeys(gpus, reason)

    def problem(self, gpus: Sequence[str]) -> str | None:
        """Return the reason why no job can train on any of these GPUs, if that is so."""
        with self._lock:
            reasons = [self._reasons.get(gpu) for gpu in gpus]
        if not reasons or None in reasons:
            return None
        return f"GPU {', '.join(gpus)}: {reasons[0]}"
