"""Pace of the calls to a service: requests and tokens a minute, and pauses that it asks for."""

import threading
import time
from collections.abc import Callable


class Closed(Exception):
    """The run ends: no further call is made."""


class Pace:
    """Spaces the starts of calls evenly; shared by the threads that call one service.

    None: no limit.
    """

    def __init__(
        self,
        *,
        requests_per_minute: int | None,
        tokens_per_minute: int | None,
        closing: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds_a_request = 60 / requests_per_minute if requests_per_minute else 0.0
        self._seconds_a_token = 60 / tokens_per_minute if tokens_per_minute else 0.0
        self._closing = closing
        self._clock = clock
        self._lock = threading.Lock()
        self._next_at = clock()

    def wait(self, tokens: int) -> None:
        """Wait for the turn of a call with this many tokens.

        Raises:
            Closed: the run ends meanwhile.
        """
        cost = max(self._seconds_a_request, self._seconds_a_token * tokens)
        with self._lock:
            starts_at = max(self._clock(), self._next_at)
            self._next_at = starts_at + cost
        self.sleep(starts_at - self._clock())

    def pause(self, seconds: float) -> None:
        """Let no call start for some time, which the service has asked for."""
        with self._lock:
            self._next_at = max(self._next_at, self._clock() + seconds)

    def sleep(self, seconds: float) -> None:
        """
        Raises:
            Closed: the run ends meanwhile.
        """
        if self._closing.wait(max(0.0, seconds)):
            raise Closed
