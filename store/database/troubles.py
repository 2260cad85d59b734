"""Repeated failures, logged immediately and then at growing intervals."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
import structlog
from sqlalchemy.exc import OperationalError

from store.errors import DatabaseUnusable

FIRST_SECONDS = 2.0
LONGEST_SECONDS = 300.0
"""Longest interval between two log lines about one failure, which ends after twice this time
without it."""
POSTGRES_AWAY = "postgres_away"

log = structlog.get_logger()


@dataclass
class _Trouble:
    pause: float
    logged_at: float
    seen_at: float
    unlogged: int = 0


class Troubles:
    """The failures of a process, whose threads usually fail for the same reason."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[tuple[str, str], _Trouble] = {}
        self._lock = threading.Lock()

    def tell(self, event: str, error: Exception) -> None:
        """Log a failure; to be called where the error is caught.

        An outage of Postgres is one line for all events.  Any other failure is `event`, with its
        traceback the first time.
        """
        expected = isinstance(error, OperationalError | psycopg.Error | DatabaseUnusable)
        key = (POSTGRES_AWAY if expected else event, type(error).__name__)
        again = self._again(key)
        if again is None:
            return
        more = {"again": again} if again else {}
        if not expected and not again:
            log.exception(event)
        else:
            log.warning(key[0], error=first_line(error), **more)

    def _again(self, key: tuple[str, str]) -> int | None:
        """Return the failures since the last logged one; None: not to be logged now."""
        now = self._clock()
        with self._lock:
            trouble = self._known.get(key)
            if trouble is None or now - trouble.seen_at > 2 * LONGEST_SECONDS:
                self._known[key] = _Trouble(FIRST_SECONDS, logged_at=now, seen_at=now)
                return 0
            trouble.seen_at = now
            trouble.unlogged += 1
            if now - trouble.logged_at < trouble.pause:
                return None
            again, trouble.unlogged = trouble.unlogged, 0
            trouble.logged_at = now
            trouble.pause = min(2 * trouble.pause, LONGEST_SECONDS)
            return again


def first_line(error: Exception) -> str:
    cause = error.orig if isinstance(error, OperationalError) else error
    return str(cause).partition("\n")[0] or type(cause).__name__
