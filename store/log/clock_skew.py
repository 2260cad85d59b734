"""Times that a machine gave by its own clock, told by the database's."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from store.log.log import Entry
from store.tables import Attempt


def by_database_clock(
    session: Session, job_id: UUID, attempt: int, entries: Sequence[Entry], *, local_now: datetime
) -> list[Entry]:
    """An attempt's entries, dated by how long ago they were written.

    A clock that is wrong is right about that.  Where it was set in between, an entry's time is at
    least within its attempt.

    Args:
        local_now: what the clock that dated the entries says now, after the last of them.
    """
    if not entries:
        return []
    query = select(Attempt.started_at, func.now())
    mine = query.where(Attempt.job_id == job_id, Attempt.number == attempt)
    began_at, now = session.execute(mine).one()
    return [
        replace(entry, at=min(max(now - (local_now - entry.at), began_at), now))
        for entry in entries
    ]
