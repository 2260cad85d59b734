"""Dear work that a process does for few requests at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from api.errors.problems import Problem


class Places:
    """So many; who finds none is told to come again."""

    def __init__(self, number: int, *, code: str, busy: str, retry_seconds: float) -> None:
        """`busy`: what is done here for others."""
        self._free = threading.BoundedSemaphore(number)
        self._code = code
        self._busy = busy
        self._retry_seconds = retry_seconds

    @contextmanager
    def take(self) -> Iterator[None]:
        """
        Raises:
            Problem: 503, all are taken.
        """
        if not self._free.acquire(blocking=False):
            detail = f"{self._busy}: try again in a moment"
            headers = {"Retry-After": f"{self._retry_seconds:.0f}"}
            raise Problem(503, self._code, detail, headers=headers)
        try:
            yield
        finally:
            self._free.release()
