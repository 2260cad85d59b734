"""Calls of one service: paced, bounded, retried."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpcore

from grpo.net.post import AnswerTooLong, HttpAnswer, Poster
from grpo.net.public_address import AddressRefused
from grpo.rewards.service.pace import Pace
from grpo.values.section import MOST

MOST_BYTES = 4 << 20
"""Longest answer that is read."""
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
FIRST_WAIT_SECONDS = 0.5  # doubled with each further try
LONGEST_WAIT_SECONDS = 120.0
SHOWN_CHARACTERS = 200
READ_BYTES = 64 * 1024  # of an error's answer, for its report
USER_AGENT = "Duet-Rewards"


class CallFailed(Exception):
    """A call without a usable answer.

    `outage`: the service was away or busy, and may recover; `wait_seconds`: as it asks for.
    """

    def __init__(self, cause: str, *, outage: bool = False, wait_seconds: float = 0.0) -> None:
        super().__init__(cause)
        self.outage = outage
        self.wait_seconds = wait_seconds


@dataclass(frozen=True)
class CallSettings:
    """Limits of calls to a service."""

    url: str
    seconds: float
    tries: int
    requests_per_minute: int | None
    tokens_per_minute: int | None


Headers = Callable[[], Mapping[str, str]]
"""Makes the headers of one try, such as a signature with the time."""


class Calls:
    """Calls of one service; used by several threads."""

    def __init__(
        self,
        settings: CallSettings,
        poster: Poster,
        *,
        hidden: str | None,
        closing: threading.Event,
    ) -> None:
        """`hidden`: the secret, which no message repeats; `closing` ends all waiting."""
        self._settings = settings
        self._poster = poster
        self._hidden = hidden
        self._pace = Pace(
            requests_per_minute=settings.requests_per_minute,
            tokens_per_minute=settings.tokens_per_minute,
            closing=closing,
        )
        self._lock = threading.Lock()
        self._num_requests = 0
        self._seconds = 0.0
        self._num_tokens = 0

    def post(self, body: bytes, headers: Headers, *, tokens: int) -> HttpAnswer:
        """Return the first good answer; one that asks to wait, or none, is followed by another try.

        Raises:
            CallFailed: there is none.
            Closed: the run ends.
        """
        wait = FIRST_WAIT_SECONDS
        for left in reversed(range(self._settings.tries)):
            self._pace.wait(tokens)
            try:
                return self._good(self._timed(body, headers()))
            except CallFailed as failed:
                if not failed.outage:
                    raise
                wait = max(wait, failed.wait_seconds)
                if wait > LONGEST_WAIT_SECONDS:
                    asked = f"{failed}, and asks to wait {wait:.0f} s"
                    raise CallFailed(asked, outage=True) from None
                if not left:
                    told = f"{failed} ({self._settings.tries} tries)"
                    raise CallFailed(told, outage=True) from None
            self._pace.pause(wait)  # for the other threads too, as they share the service
            self._pace.sleep(wait)
            wait *= 2
        raise AssertionError("the last try returns or raises")

    def count_tokens(self, answer: object) -> None:
        """Count the tokens that a chat completion says it took."""
        usage = answer.get("usage") if isinstance(answer, dict) else None
        total = usage.get("total_tokens") if isinstance(usage, dict) else None
        if isinstance(total, int) and 0 <= total <= MOST:
            with self._lock:
                self._num_tokens += total

    def take_counts(self) -> dict[str, float]:
        """Return what the calls since the last time took."""
        with self._lock:
            counts = {
                "num_requests": self._num_requests,
                "request_seconds": self._seconds,
                "num_tokens": self._num_tokens,
            }
            self._num_requests, self._seconds, self._num_tokens = 0, 0.0, 0
        return counts

    def shown(self, text: str) -> str:
        """Return a service's text as it may be shown: one line without the secret, in characters
        that JSON and Postgres store."""
        if self._hidden:
            text = text.replace(self._hidden, "***")
        text = text.encode(errors="replace").decode()
        return " ".join("".join(each if each.isprintable() else " " for each in text).split())

    def _timed(self, body: bytes, headers: Mapping[str, str]) -> HttpAnswer:
        began = time.monotonic()
        try:
            return self._once(body, headers)
        finally:
            with self._lock:
                self._num_requests += 1
                self._seconds += time.monotonic() - began

    def _once(self, body: bytes, headers: Mapping[str, str]) -> HttpAnswer:
        settings = self._settings
        try:
            return self._poster.post(
                settings.url,
                body,
                {"User-Agent": USER_AGENT, **headers},
                seconds=settings.seconds,
                most_bytes=MOST_BYTES,
            )
        except AddressRefused as refused:
            raise CallFailed(refused.detail) from None
        except AnswerTooLong:
            raise CallFailed(f"its answer is longer than {MOST_BYTES >> 20} MiB") from None
        except httpcore.TimeoutException:
            cause = f"no complete answer within {settings.seconds:g} s"
            raise CallFailed(cause, outage=True) from None
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            cause = f"{type(error).__name__}: {error}"
            raise CallFailed(cause, outage=True) from None

    def _good(self, answer: HttpAnswer) -> HttpAnswer:
        if answer.status in RETRIED:
            told, wait = self._told(answer), _asked_wait(answer)
            raise CallFailed(told, outage=True, wait_seconds=wait)
        if not 200 <= answer.status < 300:
            raise CallFailed(self._told(answer))
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise CallFailed("its answer is compressed, which the request did not accept")
        return answer

    def _told(self, answer: HttpAnswer) -> str:
        """Return a short report of an answer with an error."""
        text = self.shown(answer.body[:READ_BYTES].decode(errors="replace"))[:SHOWN_CHARACTERS]
        return f"it answered {answer.status}{f': {text}' if text else ''}"


def _asked_wait(answer: HttpAnswer) -> float:
    """Return the seconds that `Retry-After` names, as a number or as a date; 0 without one."""
    asked = answer.headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return float(asked[:9])
    try:
        until = parsedate_to_datetime(asked)
    except (ValueError, OverflowError):
        return 0.0
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
