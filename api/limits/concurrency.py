"""Limit on concurrent requests for costly work in a process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from api.errors.problems import Problem


class ConcurrencyLimit:
    """A number of slots; a request that finds none free is answered with 503."""

    def __init__(self, number: int, *, code: str, busy: str, retry_seconds: float) -> None:
        """`busy`: the sentence of the error, saying which work keeps the server busy."""
        self._free = threading.BoundedSemaphore(number)
        self._code = code
        self._busy = busy
        self._retry_seconds = retry_seconds

    @contextmanager
    def take(self) -> Iterator[None]:
        """Take a slot.

        Raises:
            Problem: 503, all slots are taken.
        """
        if not self._free.acquire(blocking=False):
            detail = f"{self._busy}: retry shortly"
            headers = {"Retry-After": f"{self._retry_seconds:.0f}"}
            raise Problem(503, self._code, detail, headers=headers)
        try:
            yield
        finally:
            self._free.release()
