"""Retries: which requests are sent again, and after how long."""

import random
import time
from collections.abc import Callable

import httpx

from duet.client.response_errors import retry_after

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 8.0
LONGEST_ASKED_SECONDS = 30.0
"""Longest wait that a server may request; beyond it, the error is raised."""

NOT_TAKEN = frozenset({429, 503})
"""Statuses of requests that the server has not begun to process."""
MAYBE_TAKEN = frozenset({408, 502, 504})
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
BROKEN = (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError, httpx.ProxyError)


def pause(tried: int, *, draw: float) -> float:
    """Return the seconds before try number `tried` + 1: doubled each time, minus up to a quarter at
    random, so that clients disconnected together do not return together.  `draw`: [0, 1)."""
    return min(FIRST_SECONDS * 2 ** (tried - 1), LONGEST_SECONDS) * (1 - draw / 4)


def pause_after_answer(answer: httpx.Response, tried: int, *, repeatable: bool) -> float | None:
    """Return the seconds until the request is retried; None: no retry."""
    status = answer.status_code
    if status not in NOT_TAKEN and not (repeatable and status in MAYBE_TAKEN):
        return None
    asked = retry_after(answer)
    if asked is None:
        return pause(tried, draw=random.random())
    return asked if asked <= LONGEST_ASKED_SECONDS else None


def pause_after_break(error: httpx.RequestError, tried: int, *, repeatable: bool) -> float | None:
    """Return the seconds until the request is retried; None: no retry."""
    if isinstance(error, NOT_SENT) or (repeatable and isinstance(error, BROKEN)):
        return pause(tried, draw=random.random())
    return None


class Patience:
    """Retries of a long operation that outlives its connections: a stream, a wait, a download.

    The first retry is immediate; pauses then grow until something arrives, and the error is raised
    when nothing has arrived for `seconds`.
    """

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self.renew()

    def renew(self) -> None:
        """Note that something has arrived."""
        self._since: float | None = None
        self._tried = 0

    def pause_after(self, error: Exception) -> float:
        """Return the seconds until the next try; raise the error if it has persisted too long."""
        now = self._clock()
        if self._since is None:
            self._since = now
        if now - self._since > self._seconds:
            raise error
        self._tried += 1
        return pause(self._tried - 1, draw=random.random()) if self._tried > 1 else 0.0
