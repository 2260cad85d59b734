"""Failures that come again every second, logged at once and then ever more rarely."""

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
"""Between two lines about the same failure; after twice this time without one it is a new one."""
POSTGRES_AWAY = "postgres_away"

log = structlog.get_logger()


@dataclass
class _Trouble:
    pause: float
    told_at: float
    seen_at: float
    untold: int = 0


class Troubles:
    """One for a process: its threads mostly fail for the same reason."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[tuple[str, str], _Trouble] = {}
        self._lock = threading.Lock()

    def tell(self, event: str, error: Exception) -> None:
        """Log what failed.

        An outage of Postgres is one line, whatever was tried.  Anything else is `event`, the first
        time with its traceback; for use where the error is caught.
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
        """How often it came since it was last told; None: it is not to be told now."""
        now = self._clock()
        with self._lock:
            trouble = self._known.get(key)
            if trouble is None or now - trouble.seen_at > 2 * LONGEST_SECONDS:
                self._known[key] = _Trouble(FIRST_SECONDS, told_at=now, seen_at=now)
                return 0
            trouble.seen_at = now
            trouble.untold += 1
            if now - trouble.told_at < trouble.pause:
                return None
            again, trouble.untold = trouble.untold, 0
            trouble.told_at = now
            trouble.pause = min(2 * trouble.pause, LONGEST_SECONDS)
            return again


def first_line(error: Exception) -> str:
    cause = error.orig if isinstance(error, OperationalError) else error
    return str(cause).partition("\n")[0] or type(cause).__name__
