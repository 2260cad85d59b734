"""Curves: the values of metrics over live steps."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from math import isfinite
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Integer,
    Lateral,
    Numeric,
    TableValuedAlias,
    Text,
    and_,
    case,
    cast,
    func,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB, array
from sqlalchemy.orm import Session

from store.log import log
from store.tables import Record

Curve = list[tuple[int, float | None]]
"""(step, value) pairs by step; None for a value that was not finite."""

FEWEST_POINTS = 4  # both ends, and the lowest and the highest in between
NAMES_A_QUERY = 200  # Postgres returns 1,664 columns at most


@dataclass(frozen=True)
class _Extent:
    """Size and range of a curve."""

    name: str
    num_points: int
    first_step: int
    last_step: int


def read_metrics(
    session: Session,
    job_id: UUID,
    *,
    names: Sequence[str] | None = None,
    from_step: int = 0,
    max_points: int = 1000,
) -> dict[str, Curve]:
    """Return each metric's curve over live steps, of at most `max_points` (4 at least).

    A curve with fewer points is returned completely.  Of a longer one the first and the last point
    are kept; the steps between are divided into equal intervals, and the lowest and the highest
    value of each are kept, so that no spike is lost.  The reduction is done in Postgres.

    Args:
        names: None: every metric.
    """
    counted = and_(
        Record.job_id == job_id,
        Record.kind.in_(("metric", "eval")),
        Record.step >= from_step,
        log.live(),
    )
    max_points = max(max_points, FEWEST_POINTS)
    found = _extents(session, counted, names)
    whole = [extent.name for extent in found if extent.num_points <= max_points]
    curves: dict[str, Curve] = {name: [] for name in names or ()}
    curves |= _whole(session, counted, whole)
    alike: dict[tuple[int, int], list[str]] = defaultdict(list)
    for extent in found:
        if extent.num_points > max_points:
            alike[extent.first_step, extent.last_step].append(extent.name)
    for (first, last), long in alike.items():
        stretches = _stretches(first, last, max_points)
        for start in range(0, len(long), NAMES_A_QUERY):
            curves |= _thinned(session, counted, long[start : start + NAMES_A_QUERY], stretches)
    return curves


def _extents(
    session: Session, counted: ColumnElement[bool], names: Sequence[str] | None
) -> list[_Extent]:
    if names is None:
        keys, holds = func.jsonb_object_keys(Record.payload), None
    else:
        keys, holds = func.unnest(cast(sorted(set(names)), ARRAY(Text))), Record.payload.has_key
    held = keys.table_valued("key").render_derived("held")
    query = (
        select(held.c.key, func.count(), func.min(Record.step), func.max(Record.step))
        .join_from(Record, held, true() if holds is None else holds(held.c.key))
        .where(counted, held.c.key != log.NOTE)
        .group_by(held.c.key)
        .order_by(held.c.key)
    )
    return [_Extent(*row) for row in session.execute(query)]


def _whole(
    session: Session, counted: ColumnElement[bool], names: Sequence[str]
) -> dict[str, Curve]:
    curves: dict[str, dict[int, float | None]] = {name: {} for name in names}
    if names:
        holds_one = Record.payload.has_any(cast(list(names), ARRAY(Text)))
        query = select(Record.step, Record.payload).where(counted, holds_one)
        for step, payload in session.execute(query.order_by(Record.step, Record.seq)):
            assert step is not None  # by the condition on from_step
            for name in curves.keys() & payload.keys():
                curves[name][step] = as_float(payload[name])
    return {name: list(curve.items()) for name, curve in curves.items()}


def _stretches(first: int, last: int, max_points: int) -> list[tuple[int, int]]:
    """Return stretches (low, high), both included; the first and last step are separate."""
    inner, number = last - first - 1, (max_points - 2) // 2
    edges = [first + 1 + inner * n // number for n in range(number + 1)]
    return [(first, first), *((low, high - 1) for low, high in pairwise(edges)), (last, last)]


def _thinned(
    session: Session,
    counted: ColumnElement[bool],
    names: Sequence[str],
    stretches: Sequence[tuple[int, int]],
) -> dict[str, Curve]:
    """Reduce curves by one index lookup per interval, without sorting, however long the log."""
    lows, highs = (cast(list(side), ARRAY(Integer)) for side in zip(*stretches, strict=True))
    stretch = func.unnest(lows, highs).table_valued("low", "high").render_derived("stretch")
    extremes = _extremes(counted, names, stretch)
    query = select(extremes).select_from(stretch.join(extremes, true())).order_by(stretch.c.low)
    curves: dict[str, Curve] = {name: [] for name in names}
    for lowest_and_highest in session.execute(query):
        for index, name in enumerate(names):
            curves[name] += _points(*lowest_and_highest[2 * index : 2 * index + 2])
    return curves


def _extremes(
    counted: ColumnElement[bool], names: Sequence[str], stretch: TableValuedAlias
) -> Lateral:
    """Select for each name the points [value, step] with a stretch's lowest and highest value.

    The lowest value has its first step and the highest its last; where no value is finite the
    first point is selected.  Comparing [value, step] does all this, because null sorts after every
    number.  The values stay `numeric`, as in jsonb: a cast to float costs more than comparing.
    """
    within = Record.step.between(stretch.c.low, stretch.c.high)
    # Concatenated with {} a payload is unpacked once, not for every name; OFFSET 0 keeps these
    # queries from being merged, where a value would be looked up at each use.
    payload = Record.payload.concat(cast({}, JSONB)).label("payload")
    unpacked = select(Record.step, payload).where(counted, within).offset(0)
    unpacked = unpacked.correlate(stretch).lateral("unpacked")
    values = [unpacked.c.payload[name].label(f"value_{n}") for n, name in enumerate(names)]
    read = select(unpacked.c.step, *values).offset(0).correlate(stretch).lateral("read")
    points = [
        case((value.is_not(None), array([_number(value), read.c.step]))).label(value.name)
        for value in read.c[1:]
    ]
    measured = select(*points).offset(0).correlate(stretch).lateral("measured")
    extremes = [
        extreme
        for point in measured.c
        for extreme in (func.min(point), func.max(point).filter(point[1].is_not(None)))
    ]
    labelled = [extreme.label(f"extreme_{n}") for n, extreme in enumerate(extremes)]
    return select(*labelled).correlate(stretch).lateral("extremes")


def _number(value: ColumnElement) -> ColumnElement:
    return case((func.jsonb_typeof(value) == "number", cast(value, Numeric)))


def _points(*extremes: tuple[Decimal | None, Decimal] | None) -> Curve:
    """Return the distinct points in the order of their steps."""
    steps = {int(step): as_float(value) for value, step in filter(None, extremes)}
    return sorted(steps.items())


def as_float(number: object) -> float | None:
    """Return a finite float; None: not a number, or not representable."""
    if not isinstance(number, int | float | Decimal):
        return None
    try:
        value = float(number)
    except OverflowError:
        return None
    return value if isfinite(value) else None
