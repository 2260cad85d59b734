"""News of the jobs' logs: one LISTEN connection a process, fanned out to every stream."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import anyio
import psycopg

from store.troubles import Troubles

CHANNEL = "duet_log"
RECONNECT_SECONDS = 1.0
LOOK_SECONDS = 15.0  # even without news: a notification may be lost with its connection
LOOKS_AT_ONCE = 4  # the streams leave the process's other threads to the other requests
PING = b": ping\r\n\r\n"


@dataclass(frozen=True)
class Look:
    """What a job's log holds behind a place in it, in the bytes that every stream sends."""

    chunks: Sequence[bytes]
    last: int
    """Where the next look begins."""
    more: bool
    """Whether there is more than one look takes."""
    ended: bool
    """Whether nothing will follow."""


Read = Callable[[UUID, int], Look]
"""Reads a job's log from behind a seq on."""


class Feed:
    """Tells the followers of a job that its log may have grown, and looks at it for them.

    A notification carries no records: a follower reads them by their seq, so nothing that the feed
    misses, doubles or delays can make a gap.  All who are at the same place share one look.
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
        """May be asked from any thread."""
        return sum(followed.num_followers for followed in list(self._followed.values()))

    @contextmanager
    def following(self, job_id: UUID) -> Iterator["Follower"]:
        """A follower from now on: whatever is written after this, it is told of."""
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
        """End every stream; its client comes back with the last seq it has, to another process."""
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
        """Through any outage of Postgres."""
        while True:
            try:
                await self._listen()
            except (psycopg.Error, ValueError) as error:  # also a notice that is none of ours
                self._troubles.tell("feed_interrupted", error)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self) -> None:
        connection = await psycopg.AsyncConnection.connect(
            self._listen_url, autocommit=True, connect_timeout=5, keepalives_idle=30
        )
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            while True:
                self._wake_everyone()  # at first, for what came while nobody listened
                async for notice in connection.notifies(timeout=LOOK_SECONDS):
                    job, _, _ = notice.payload.partition(" ")
                    if followed := self._followed.get(UUID(hex=job)):
                        followed.wake()
                await _refuse_standby(connection)

    def _wake_everyone(self) -> None:
        for followed in self._followed.values():
            followed.wake()

    async def _keep_pinging(self) -> None:
        """To all who wait at once: a thousand streams need no timer each."""
        while True:
            await asyncio.sleep(self._ping_seconds)
            for followed in self._followed.values():
                followed.ping()


async def _refuse_standby(connection: psycopg.AsyncConnection) -> None:
    """Nothing is notified where nothing is written.

    Raises:
        psycopg.OperationalError: the server has become a standby, and stays up.
    """
    cursor = await connection.execute("select pg_is_in_recovery()")
    if await cursor.fetchone() != (False,):
        raise psycopg.OperationalError("the server that was listened to has become a standby")


class _Followed:
    """A job that somebody follows."""

    def __init__(self, look: Callable[[int], Coroutine[Any, Any, Look]]) -> None:
        self.num_followers = 0
        self.num_news = 0
        self._look = look
        self._begun: dict[int, _SharedLook] = {}
        """Those that go on, by their `after`, and have begun since the last news."""
        self._awaited: dict[int, _SharedLook] = {}
        """Those that the next news begins: who waits at a place is woken once, with what it is
        given there."""

    def wake(self) -> None:
        self.num_news += 1
        self._begun = {}  # they may not see what has been written just now
        for after, shared in self._take_awaited():
            self._begin(after, shared)

    def ping(self) -> None:
        for after, shared in self._take_awaited():
            shared.begin(_ping(after), self.num_news)

    def look(self, after: int) -> "_SharedLook":
        """One that sees whatever there has been news of."""
        shared = self._begun.get(after)
        if shared is None:
            shared = _SharedLook()
            self._begin(after, shared)
        return shared

    def next_look(self, after: int) -> "_SharedLook":
        """One that begins with the next news."""
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
        """How much news there had been when the last look began; None: it left something."""

    async def look(self, after: int) -> Look:
        """What the log holds behind `after`: at once if it may have grown since the last look
        began, else as soon as it may have.  It is read once for all who ask at the same place.
        """
        followed = self._followed
        if self._num_seen == followed.num_news:
            shared = followed.next_look(after)
        else:
            shared = followed.look(after)
        look = await shared.result()
        self._num_seen = None if look.more else shared.num_news
        return look


class _SharedLook:
    """A look that goes on whoever of those that wait for it leaves, and is not kept."""

    def __init__(self) -> None:
        self.num_news = 0
        """How much there had been when it began."""
        self._done = asyncio.Event()

    def begin(self, look: Coroutine[Any, Any, Look], num_news: int) -> asyncio.Task[Look]:
        self.num_news = num_news
        self._task = asyncio.create_task(look)
        self._task.add_done_callback(lambda _: self._done.set())
        return self._task

    async def result(self) -> Look:
        # With a thousand who wait, an event costs a third of asyncio.shield.
        await self._done.wait()
        return self._task.result()
