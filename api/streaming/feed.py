"""Notification of log streams: one LISTEN connection per process, fanned out to every stream."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import anyio
import psycopg

from store.database.troubles import Troubles
from store.log.log import CHANNEL

RECONNECT_SECONDS = 1.0
LOOK_SECONDS = 15.0  # reads without news, as a lost connection may lose notifications
LOOKS_AT_ONCE = 4  # leaves the process's other threads to other requests
PING = b": ping\r\n\r\n"


@dataclass(frozen=True)
class Look:
    """A job's next log records after a seq, as the bytes that every stream sends."""

    chunks: Sequence[bytes]
    last: int
    """The seq to continue after."""
    more: bool
    """Whether more records are ready than one read takes."""
    ended: bool
    """Whether the log is complete."""


Read = Callable[[UUID, int], Look]
"""Reads a job's log after a seq."""


class Feed:
    """Notifies followers of a job that its log may have grown, and reads it for them.

    A notification carries no records: a follower reads them by their seq, so a missed, duplicate or
    late notification cannot cause a gap. Followers at the same seq share one read.
    """

    def __init__(self, listen_url: str, read: Read, *, ping_seconds: float) -> None:
        self._listen_url = listen_url
        self._read = read
        self._ping_seconds = ping_seconds
        self._ended = False
        self._troubles = Troubles()
        self._followed: dict[UUID, _Followed] = {}
        self._limiter = anyio.CapacityLimiter(LOOKS_AT_ONCE)

    @property
    def num_followers(self) -> int:
        """Number of followers; callable from any thread."""
        return sum(followed.num_followers for followed in list(self._followed.values()))

    @contextmanager
    def following(self, job_id: UUID) -> Iterator["Follower"]:
        """Follow a job from now on: every later write is notified."""
        followed = self._followed.get(job_id)
        if followed is None:
            followed = self._followed[job_id] = _Followed(lambda after: self._look(job_id, after))
        followed.num_followers += 1
        try:
            yield Follower(followed)
        finally:
            followed.num_followers -= 1
            if not followed.num_followers:
                del self._followed[job_id]

    def end(self) -> None:
        """End every stream; clients reconnect to another process with their last seq."""
        self._ended = True
        self._wake_everyone()

    async def _look(self, job_id: UUID, after: int) -> Look:
        if self._ended:
            return Look([], after, more=False, ended=True)
        return await anyio.to_thread.run_sync(self._read, job_id, after, limiter=self._limiter)

    async def run(self) -> None:
        """Listen and ping until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_listening())
            group.create_task(self._keep_pinging())

    async def _keep_listening(self) -> None:
        """Listen, through any outage of Postgres."""
        while True:
            try:
                await self._listen()
            except (psycopg.Error, ValueError) as error:  # ValueError: a foreign notification
                self._troubles.tell("feed_interrupted", error)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self) -> None:
        connection = await psycopg.AsyncConnection.connect(self._listen_url, autocommit=True)
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            while True:
                self._wake_everyone()  # also for records written before LISTEN
                async for notice in connection.notifies(timeout=LOOK_SECONDS):
                    job, _, _ = notice.payload.partition(" ")
                    if followed := self._followed.get(UUID(hex=job)):
                        followed.wake()
                await _refuse_standby(connection)

    def _wake_everyone(self) -> None:
        for followed in self._followed.values():
            followed.wake()

    async def _keep_pinging(self) -> None:
        """Ping all waiting followers at once: a thousand streams need no timer each."""
        while True:
            await asyncio.sleep(self._ping_seconds)
            for followed in self._followed.values():
                followed.ping()


async def _refuse_standby(connection: psycopg.AsyncConnection) -> None:
    """Refuse a standby, on which nothing is notified.

    Raises:
        psycopg.OperationalError: the server has become a standby without closing the connection.
    """
    cursor = await connection.execute("select pg_is_in_recovery()")
    if await cursor.fetchone() != (False,):
        raise psycopg.OperationalError("the server listened to has become a standby")


class _Followed:
    """A job with followers."""

    def __init__(self, look: Callable[[int], Coroutine[Any, Any, Look]]) -> None:
        self.num_followers = 0
        self.num_news = 0
        self._look = look
        self._begun: dict[int, _SharedLook] = {}
        """Running reads by their `after`, begun since the last news."""
        self._awaited: dict[int, _SharedLook] = {}
        """Reads that the next news starts: its followers wake once, with the result."""

    def wake(self) -> None:
        self.num_news += 1
        self._begun = {}  # older reads may miss the records just written
        for after, shared in self._take_awaited():
            self._begin(after, shared)

    def ping(self) -> None:
        for after, shared in self._take_awaited():
            shared.begin(_ping(after), self.num_news)

    def look(self, after: int) -> "_SharedLook":
        """A read that includes all news so far."""
        shared = self._begun.get(after)
        if shared is None:
            shared = _SharedLook()
            self._begin(after, shared)
        return shared

    def next_look(self, after: int) -> "_SharedLook":
        """A read that starts with the next news."""
        shared = self._awaited.get(after)
        if shared is None:
            shared = self._awaited[after] = _SharedLook()
        return shared

    def _begin(self, after: int, shared: "_SharedLook") -> None:
        begun = self._begun
        begun[after] = shared
        task = shared.begin(self._look(after), self.num_news)
        task.add_done_callback(lambda _: begun.pop(after))

    def _take_awaited(self) -> Iterable[tuple[int, "_SharedLook"]]:
        awaited, self._awaited = self._awaited, {}
        return awaited.items()


async def _ping(after: int) -> Look:
    return Look([PING], after, more=False, ended=False)


class Follower:
    """One stream of a job's log."""

    def __init__(self, followed: _Followed) -> None:
        self._followed = followed
        self._num_seen: int | None = None
        """The amount of news when the last read began; None: that read left records."""

    async def look(self, after: int) -> Look:
        """Return the records after `after`: immediately if the log may have grown since the last
        read began, else as soon as it may have. Followers at the same seq share the read."""
        followed = self._followed
        if self._num_seen == followed.num_news:
            shared = followed.next_look(after)
        else:
            shared = followed.look(after)
        look = await shared.result()
        self._num_seen = None if look.more else shared.num_news
        return look


class _SharedLook:
    """A read shared by its waiters: it continues when any of them leaves, and is not cached."""

    def __init__(self) -> None:
        self.num_news = 0
        """The amount of news when it began."""
        self._done = asyncio.Event()

    def begin(self, look: Coroutine[Any, Any, Look], num_news: int) -> asyncio.Task[Look]:
        self.num_news = num_news
        self._task = asyncio.create_task(look)
        self._task.add_done_callback(lambda _: self._done.set())
        return self._task

    async def result(self) -> Look:
        # With a thousand waiters, an event costs a third of asyncio.shield.
        await self._done.wait()
        return self._task.result()
