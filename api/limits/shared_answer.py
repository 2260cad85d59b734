"""An answer that is the same for all who ask at the same time."""

import threading
from collections.abc import Callable


class SharedAnswer:
    """Made once for all who ask while it is made."""

    def __init__(self) -> None:
        self._making = threading.Lock()
        self._last: bytes | None = None

    def get(self, make: Callable[[], bytes]) -> bytes:
        """Return what `make` makes, or what another thread has just made."""
        if self._making.acquire(blocking=False):
            return self._made(make)
        self._making.acquire()
        if self._last is None:  # the other one failed
            return self._made(make)
        answer = self._last
        self._making.release()
        return answer

    def _made(self, make: Callable[[], bytes]) -> bytes:
        """Make it and release the lock, which this thread has."""
        self._last = None
        try:
            self._last = make()
            return self._last
        finally:
            self._making.release()
