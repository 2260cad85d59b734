"""Rate limits: requests per minute, counted in Redis in one round trip; not enforced without
Redis."""

import threading
import time
from dataclasses import dataclass

import structlog
from fastapi import Request
from limits.storage import RedisStorage
from redis import RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from api.errors.problems import Problem

WINDOW_SECONDS = 60
REQUESTS_OF_AN_ADDRESS = 120  # per minute, for the pages that need no key
ANSWER_SECONDS = 0.1  # maximum time that a request waits for Redis
PAUSE_SECONDS = 5.0  # during which later requests skip Redis

log = structlog.get_logger()


@dataclass(frozen=True)
class Standing:
    """A client's count in the current window, one minute of the clock."""

    limit: int
    count: int
    reset_seconds: int

    @property
    def is_exceeded(self) -> bool:
        return self.count > self.limit

    @property
    def headers(self) -> dict[str, str]:
        """Headers as named and formatted by draft-ietf-httpapi-ratelimit-headers-10."""
        remaining = max(self.limit - self.count, 0)
        return {
            "RateLimit-Policy": f'"minute";q={self.limit};w={WINDOW_SECONDS}',
            "RateLimit": f'"minute";r={remaining};t={self.reset_seconds}',
        }


class RateLimits:
    """Counters shared by all processes of this server."""

    def __init__(self, redis_url: str) -> None:
        self._storage = RedisStorage(
            redis_url,
            key_prefix="duet",
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),  # pyright: ignore[reportArgumentType] - redis takes it
        )
        self._lock = threading.Lock()
        self._paused_until: float | None = None
        """Monotonic time; None: Redis answered the last time."""

    def count(self, who: str, *, limit: int) -> Standing | None:
        """Count a request of `who`; None while Redis is unavailable."""
        paused_until = self._paused_until  # read once: another thread may reset it
        if paused_until is not None and time.monotonic() < paused_until:
            return None
        window, past = divmod(time.time(), WINDOW_SECONDS)
        try:
            count = self._storage.incr(f"requests/{who}/{window:.0f}", WINDOW_SECONDS)
        except (RedisError, OSError) as error:
            self._pause(error)
            return None
        self._resume()
        return Standing(limit, count, reset_seconds=WINDOW_SECONDS - int(past))

    def close(self) -> None:
        self._storage.storage.close()

    def _pause(self, error: Exception) -> None:
        with self._lock:
            first = self._paused_until is None
            self._paused_until = time.monotonic() + PAUSE_SECONDS
        if first:
            log.warning("rate_limits_off", error=str(error))

    def _resume(self) -> None:
        if self._paused_until is None:
            return
        with self._lock:
            again, self._paused_until = self._paused_until is not None, None
        if again:
            log.info("rate_limits_on")


def check_address(request: Request, limits: RateLimits) -> None:
    """Count a request that needs no key, by the client's address.

    Raises:
        Problem: 429, over the limit.
    """
    address = request.client.host if request.client else None
    check(request, limits, f"address/{address}", limit=REQUESTS_OF_AN_ADDRESS)


def check(request: Request, limits: RateLimits, who: str, *, limit: int) -> None:
    """Count a request, and add the rate limit's headers to its answer.

    Raises:
        Problem: 429, over the limit.
    """
    standing = limits.count(who, limit=limit)
    if standing is None:
        return
    request.state.rate_limit = standing
    if standing.is_exceeded:
        detail = f"more than {limit} requests per minute: retry in {standing.reset_seconds} seconds"
        headers = {"Retry-After": str(standing.reset_seconds)}
        raise Problem(429, "rate_limited", detail, headers=headers)
