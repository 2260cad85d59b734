"""A project's sweeps, each with the number of its jobs by status."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Text, cast, func, select, text, true
from sqlalchemy.orm import Session

from store.ids import decode, encode
from store.states import Status
from store.tables import IN_A_SWEEP, SWEEP, Job


@dataclass(frozen=True)
class SweepSummary:
    id: UUID
    name: str
    """Name of the first job."""
    created_at: datetime
    """Submission of the first job."""
    statuses: Mapping[Status, int]
    """Number of jobs by status."""


def list_sweeps(
    session: Session, project_id: UUID, *, after: UUID | None = None, limit: int
) -> list[SweepSummary]:
    """Return a project's sweeps, newest first; `after`: only sweeps older than this one."""
    ours = [Job.project_id == project_id, text(IN_A_SWEEP)]
    names = _names(session, ours, after, limit)
    statuses = _statuses(session, ours, names)
    return [
        SweepSummary(decode("swp", sweep), name, created_at, statuses[sweep])
        for sweep, name, created_at in _first_jobs(session, ours, names)
    ]


def _names(
    session: Session, ours: Sequence[ColumnElement[bool]], after: UUID | None, limit: int
) -> list[str]:
    """Return the newest sweeps' labels, each found from the previous one by one index lookup."""
    newest = select(SWEEP.label("sweep")).where(*ours).order_by(SWEEP.desc()).limit(1)
    first = newest if after is None else newest.where(encode("swp", after) > SWEEP)
    sweep = select(first.subquery().c.sweep).cte("sweep", recursive=True)
    following = newest.where(sweep.c.sweep > SWEEP).correlate(sweep).lateral("following")
    sweep = sweep.union_all(select(following.c.sweep).select_from(sweep).join(following, true()))
    return list(session.scalars(select(sweep.c.sweep).limit(limit)))


def _statuses(
    session: Session, ours: Sequence[ColumnElement[bool]], names: Sequence[str]
) -> dict[str, dict[Status, int]]:
    counted = (
        select(SWEEP, Job.status, func.count())
        .where(*ours, SWEEP.in_(names))
        .group_by(SWEEP, Job.status)
    )
    statuses: dict[str, dict[Status, int]] = {name: {} for name in names}
    for name, status, number in session.execute(counted):
        statuses[name][status] = number
    return statuses


def _first_jobs(
    session: Session, ours: Sequence[ColumnElement[bool]], names: Sequence[str]
) -> list[tuple[str, str, datetime]]:
    """Return (sweep, name, submission) of each sweep's first job, in the order of `names`."""
    sweep = func.unnest(cast(list(names), ARRAY(Text))).table_valued(
        "name", with_ordinality="number"
    )
    sweep = sweep.render_derived("sweep")
    first = (
        select(Job.name, Job.created_at)
        .where(*ours, sweep.c.name == SWEEP)
        .order_by(Job.id)
        .limit(1)
        .correlate(sweep)
        .lateral("first")
    )
    found = select(sweep.c.name, first.c.name, first.c.created_at)
    ordered = found.select_from(sweep).join(first, true()).order_by(sweep.c.number)
    return [(name, job, at) for name, job, at in session.execute(ordered)]
