"""Metrics as one row per step, for spreadsheets and data frames."""

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
"""A step and its values by name; None for a value that was not finite."""


def names(session: Session, job_id: UUID, *, from_step: int = 0) -> list[str]:
    """Return the sorted names of all metrics of live steps."""
    keys = select(func.jsonb_object_keys(Record.payload)).where(_counted(job_id, from_step))
    return sorted(set(session.scalars(keys.distinct())) - {log.NOTE})


def read_window(
    session: Session, job_id: UUID, wanted: Sequence[str], *, from_step: int
) -> tuple[list[MetricRow], int | None]:
    """Return the rows of the next window of steps, bounded to fit in memory, and the start of the
    window after it; None: no step is left.

    Steps without any of the requested metrics have no row.
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
        present = {name: as_float(payload[name]) for name in wanted if name in payload}
        rows.setdefault(step, {}).update(present)
    return list(rows.items()), behind


def of_curves(curves: Mapping[str, Curve]) -> Iterator[MetricRow]:
    """Join curves into one row per step."""
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
    """Return the first step from `from_step` that has a record, by one index lookup per kind."""
    firsts = [
        select(func.min(Record.step))
        .where(Record.job_id == job_id, Record.kind == kind, Record.step >= from_step)
        .scalar_subquery()
        for kind in KINDS
    ]
    return session.scalar(select(func.least(*firsts)))
