"""News of the jobs' logs: one LISTEN connection a process, fanned out to every stream."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import psycopg
import structlog

CHANNEL = "duet_log"
RECONNECT_SECONDS = 1.0

log = structlog.get_logger()


class Feed:
    """Sets the event of every follower of a job whose log has grown.

    It carries no records: a follower reads them from the log by their seq, so nothing that the
    feed misses, doubles or delays can make a gap.
    """

    def __init__(self, listen_url: str) -> None:
        self._listen_url = listen_url
        self._followers: dict[UUID, set[asyncio.Event]] = defaultdict(set)

    @property
    def num_followers(self) -> int:
        """May be asked from any thread."""
        return sum(map(len, list(self._followers.values())))

    @contextmanager
    def following(self, job_id: UUID) -> Iterator[asyncio.Event]:
        """An event that is set whenever the job's log may have grown."""
        grown = asyncio.Event()
        self._followers[job_id].add(grown)
        try:
            yield grown
        finally:
            self._followers[job_id].discard(grown)
            if not self._followers[job_id]:
                del self._followers[job_id]

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
            self._wake_everyone()  # what came while nobody listened
            async for notice in connection.notifies():
                job, _, _ = notice.payload.partition(" ")
                for grown in self._followers.get(UUID(hex=job), ()):
                    grown.set()

    def _wake_everyone(self) -> None:
        for followers in self._followers.values():
            for grown in followers:
                grown.set()
