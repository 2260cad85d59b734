"""News of the jobs' logs: one LISTEN connection a process, fanned out to every stream."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import anyio
import psycopg
import structlog

from store.states import Status

CHANNEL = "duet_log"
RECONNECT_SECONDS = 1.0
LOOK_SECONDS = 15.0  # even without news: a notification may be lost with its connection
LOOKS_AT_ONCE = 4  # the streams leave the process's other threads to the other requests

log = structlog.get_logger()


@dataclass(frozen=True)
class Look:
    """What a job's log holds behind a place in it, in the bytes that every stream sends."""

    chunks: Sequence[bytes]
    last: int
    """Where the next look begins."""
    more: bool
    """Whether there is more than one look takes."""
    status: Status | None
    """The job's; None: it has been deleted."""


Read = Callable[[UUID, int], Look]
"""Reads a job's log from behind a seq on."""


class Feed:
    """Tells the followers of a job that its log may have grown, and looks at it for them.

    A notification carries no records: a follower reads them by their seq, so nothing that the feed
    misses, doubles or delays can make a gap.  All who are at the same place share one look.
    """

    def __init__(self, listen_url: str, read: Read) -> None:
        self._listen_url = listen_url
        self._read = read
        self._followed: dict[UUID, _Followed] = {}
        self._limiter = anyio.CapacityLimiter(LOOKS_AT_ONCE)

    @property
    def num_followers(self) -> int:
        """May be asked from any thread."""
        return sum(len(followed.followers) for followed in list(self._followed.values()))

    @contextmanager
    def following(self, job_id: UUID) -> Iterator["Follower"]:
        """A follower from now on: whatever is written after this, it is told of."""
        followed = self._followed.setdefault(job_id, _Followed())
        follower = Follower(followed, lambda after: self._look(job_id, after))
        followed.followers.add(follower.grown)
        try:
            yield follower
        finally:
            followed.followers.discard(follower.grown)
            if not followed.followers:
                self._followed.pop(job_id, None)

    async def _look(self, job_id: UUID, after: int) -> Look:
        return await anyio.to_thread.run_sync(self._read, job_id, after, limiter=self._limiter)

    async def run(self) -> None:
        """Listen until cancelled, through any outage of Postgres."""
        while True:
            try:
                await self._listen()
            except psycopg.OperationalError as error:
                log.warning("feed_interrupted", error=str(error).splitlines()[0])
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

    def _wake_everyone(self) -> None:
        for followed in self._followed.values():
            followed.wake()


class _Followed:
    """A job that somebody follows."""

    def __init__(self) -> None:
        self.followers: set[asyncio.Event] = set()
        self.looks: dict[int, _SharedLook] = {}
        """Those that go on, by their `after`, and have begun since the last news."""

    def wake(self) -> None:
        self.looks = {}  # they may not see what has been written just now
        for grown in self.followers:
            grown.set()


class Follower:
    """One stream of a job's log."""

    def __init__(self, followed: _Followed, look: Callable[[int], Awaitable[Look]]) -> None:
        self.grown = asyncio.Event()
        """Set when the log may have grown since the last look began."""
        self._followed = followed
        self._look = look

    async def look(self, after: int) -> Look:
        """What the log holds behind `after`: read once for all who ask while it is being read."""
        self.grown.clear()
        looks = self._followed.looks
        shared = looks.get(after)
        if shared is None:
            shared = looks[after] = _SharedLook(self._look(after), ended=lambda: looks.pop(after))
        return await shared.result()


class _SharedLook:
    """A look that goes on whoever of those that wait for it leaves, and is not kept."""

    def __init__(self, look: Awaitable[Look], ended: Callable[[], object]) -> None:
        self._task = asyncio.ensure_future(look)
        self._task.add_done_callback(self._end)
        self._ended = ended
        self._done = asyncio.Event()

    async def result(self) -> Look:
        # With a thousand who wait, an event costs a third of asyncio.shield.
        await self._done.wait()
        return self._task.result()

    def _end(self, _: object) -> None:
        self._ended()
        self._done.set()
