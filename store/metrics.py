"""Curves: the values of metrics over the steps that count."""

from collections.abc import Sequence
from itertools import pairwise
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from store import log
from store.tables import Record

Curve = list[tuple[int, float | None]]
"""(step, value), by step; the value is None where it was not finite."""


def read_metrics(
    session: Session,
    job_id: UUID,
    *,
    names: Sequence[str] | None = None,
    from_step: int = 0,
    max_points: int = 1000,
) -> dict[str, Curve]:
    """Each metric's curve over live steps, thinned to about `max_points`; None: every metric."""
    query = (
        select(Record.step, Record.payload)
        .where(Record.job_id == job_id, Record.kind.in_(("metric", "eval")), log.live())
        .where(Record.step >= from_step)
        .order_by(Record.step, Record.seq)
    )
    curves: dict[str, dict[int, float | None]] = {name: {} for name in names or ()}
    for step, payload in session.execute(query):
        assert step is not None  # by the condition on from_step
        for name, value in log.without_notes(payload).items():
            if names is None:
                curves.setdefault(name, {})
            if name in curves:
                curves[name][step] = value
    return {name: thin(list(curve.items()), max_points) for name, curve in curves.items()}


def thin(curve: Curve, max_points: int) -> Curve:
    """At most `max_points` points (4 at least) of a curve that keep its look.

    The first and the last stay.  What lies between is cut into equal stretches, and of each stay
    the lowest and the highest value, so that no spike is lost.
    """
    if len(curve) <= max(max_points, 4):
        return curve
    inner = curve[1:-1]
    stretches = (max(max_points, 4) - 2) // 2
    edges = [len(inner) * n // stretches for n in range(stretches + 1)]
    kept: Curve = [curve[0]]
    for start, end in pairwise(edges):
        kept += _extremes(inner[start:end])
    return [*kept, curve[-1]]


def _extremes(stretch: Curve) -> Curve:
    """The lowest and the highest point, in the order of their steps; one if they are the same."""
    finite = [(value, step) for step, value in stretch if value is not None]
    if not finite:
        return stretch[:1]
    chosen = {min(finite)[1], max(finite)[1]}
    return [point for point in stretch if point[0] in chosen]
