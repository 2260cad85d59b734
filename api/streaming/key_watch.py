"""Revalidation of keys during long streams."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import anyio
import structlog
from sqlalchemy.exc import SQLAlchemyError

from store.access import keys
from store.database.database import Database

log = structlog.get_logger()


class StreamKeys:
    """The keys of all open streams, checked together: one query, however many streams."""

    def __init__(self, database: Database, *, look_seconds: float) -> None:
        self._database = database
        self._look_seconds = look_seconds
        self._num_streams: Counter[UUID] = Counter()
        self._ended: frozenset[UUID] = frozenset()

    @contextmanager
    def used(self, key_id: UUID) -> Iterator[None]:
        """Watch a key for as long as a stream of it is open."""
        self._num_streams[key_id] += 1
        try:
            yield
        finally:
            self._num_streams[key_id] -= 1
            if not self._num_streams[key_id]:
                del self._num_streams[key_id]

    def has_ended(self, key_id: UUID) -> bool:
        """Whether the last check found the key revoked or expired."""
        return key_id in self._ended

    async def run(self) -> None:
        """Check until cancelled, through any outage of Postgres."""
        while True:
            await asyncio.sleep(self._look_seconds)
            if not self._num_streams:
                continue
            try:
                self._ended = await anyio.to_thread.run_sync(self._ended_of, [*self._num_streams])
            except SQLAlchemyError as error:
                log.warning("stream_keys_unknown", error=str(error).partition("\n")[0])

    def _ended_of(self, key_ids: list[UUID]) -> frozenset[UUID]:
        with self._database.autocommit() as session:
            return frozenset(key_ids) - keys.open_among(session, key_ids)
