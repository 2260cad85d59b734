"""An answer shared by concurrent requests."""

import threading
from collections.abc import Callable


class SharedAnswer:
    """An answer computed once for all requests that arrive while it is computed."""

    def __init__(self) -> None:
        self._making = threading.Lock()
        self._last: bytes | None = None

    def get(self, make: Callable[[], bytes]) -> bytes:
        """Return the result of `make`, or the one that another thread has just computed."""
        if self._making.acquire(blocking=False):
            return self._made(make)
        self._making.acquire()
        if self._last is None:  # the other thread failed
            return self._made(make)
        answer = self._last
        self._making.release()
        return answer

    def _made(self, make: Callable[[], bytes]) -> bytes:
        """Compute the answer and release the lock, which this thread holds."""
        self._last = None
        try:
            self._last = make()
            return self._last
        finally:
            self._making.release()
