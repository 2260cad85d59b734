"""Metrics a row a step: what spreadsheets and data frames read."""

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Text, and_, cast, func, select
from sqlalchemy.orm import Session

from store.log import log
from store.log.curves import Curve, as_float
from store.tables import Record

KINDS = ("metric", "eval")
STEPS_A_WINDOW = 1000

MetricRow = tuple[int, dict[str, float | None]]
"""A step and its values by name; None where a value was not finite."""


def names(session: Session, job_id: UUID, *, from_step: int = 0) -> list[str]:
    """Every metric that a live step has, in order."""
    keys = select(func.jsonb_object_keys(Record.payload)).where(_counted(job_id, from_step))
    return sorted(set(session.scalars(keys.distinct())) - {log.NOTE})


def read_window(
    session: Session, job_id: UUID, wanted: Sequence[str], *, from_step: int
) -> tuple[list[MetricRow], int | None]:
    """The rows of the next steps, so many that they fit in memory, and where the next window
    begins; None: there is nothing behind this one.

    A step without any of the wanted metrics has no row.
    """
    first = _next_step(session, job_id, from_step)
    if first is None:
        return [], None
    behind = first + STEPS_A_WINDOW
    held = Record.payload.has_any(cast(list(wanted), ARRAY(Text)))
    query = select(Record.step, Record.payload).where(
        _counted(job_id, first), Record.step < behind, held
    )
    rows: dict[int, dict[str, float | None]] = {}
    for step, payload in session.execute(query.order_by(Record.step, Record.seq)):
        assert step is not None  # by the condition on the step
        there = {name: as_float(payload[name]) for name in wanted if name in payload}
        rows.setdefault(step, {}).update(there)
    return list(rows.items()), behind


def of_curves(curves: Mapping[str, Curve]) -> Iterator[MetricRow]:
    """Curves side by side: a row for each step that one of them has."""
    rows: dict[int, dict[str, float | None]] = {}
    for name, points in curves.items():
        for step, value in points:
            rows.setdefault(step, {})[name] = value
    return iter(sorted(rows.items()))


def _counted(job_id: UUID, from_step: int) -> ColumnElement[bool]:
    return and_(
        Record.job_id == job_id,
        Record.kind.in_(KINDS),
        Record.step >= from_step,
        log.live(),
    )


def _next_step(session: Session, job_id: UUID, from_step: int) -> int | None:
    """The first from there on that has a record.  Each kind is one look at the index."""
    firsts = [
        select(func.min(Record.step))
        .where(Record.job_id == job_id, Record.kind == kind, Record.step >= from_step)
        .scalar_subquery()
        for kind in KINDS
    ]
    return session.scalar(select(func.least(*firsts)))
