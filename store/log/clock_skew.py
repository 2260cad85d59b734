"""Conversion of times from a worker's clock to the database's."""

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
    """Date an attempt's entries by their age.

    A wrong clock still measures ages correctly.  If the clock was set in between, an entry's time
    is at least within its attempt.

    Args:
        local_now: current time by the clock that dated the entries.
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
