"""Sampled groups of completions."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from store.log import log
from store.tables import Record


def read_samples(
    session: Session,
    job_id: UUID,
    *,
    step: int | None = None,
    outcomes: Sequence[str] | None = None,
    after: int = 0,
    limit: int,
) -> list[Record]:
    """Return the live sample records with a seq above `after`, in order.

    Args:
        step: only samples of this step.
        outcomes: only groups with one of these outcomes, "mixed" or "tied".
    """
    query = select(Record).where(
        Record.job_id == job_id, Record.kind == "sample", Record.seq > after, log.live()
    )
    if step is not None:
        query = query.where(Record.step == step)
    if outcomes is not None:
        query = query.where(Record.payload["outcome"].astext.in_(outcomes))
    return list(session.scalars(query.order_by(Record.seq).limit(limit)))
