"""A job's curve against its cost: steps, rollouts, tokens or seconds of training."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import Double, cast, func, select
from sqlalchemy.orm import Session

from store.log import curves, log
from store.tables import Job, Record

Axis = Literal["step", "rollouts", "tokens", "seconds"]


@dataclass(frozen=True)
class Point:
    """A metric's value, and the run's cost at its measurement."""

    step: int
    value: float | None
    rollouts: float
    tokens: float
    seconds: float
    """Duration of training steps, without waiting, starting or evaluating."""

    def at(self, axis: Axis) -> float:
        return getattr(self, axis)


def measured_points(session: Session, job: Job, metric: str, *, max_points: int) -> list[Point]:
    """Return a metric's live points by step, reduced to about `max_points`."""
    curve = curves.read_metrics(session, job.id, names=[metric], max_points=max_points)[metric]
    costs = _costs(session, job.id, [step for step, _ in curve])
    return [Point(step, value, *costs.get(step, (0, 0, 0))) for step, value in curve]


def _costs(
    session: Session, job_id: UUID, steps: list[int]
) -> dict[int, tuple[float, float, float]]:
    """Map each step to (rollouts, tokens, seconds) up to its end, without step 0, which is measured
    before any rollout."""

    def number(name: str):  # noqa: ANN202 - a column
        return func.coalesce(cast(Record.payload[name].astext, Double), 0)

    step_time = func.sum(number("step_time")).over(order_by=Record.step)
    costs = (
        select(
            Record.step, number("num_rollouts"), number("num_tokens"), step_time.label("seconds")
        )
        .where(Record.job_id == job_id, Record.kind == "metric", log.live())
        .subquery()
    )
    chosen = select(costs).where(costs.c.step.in_(steps))
    return {step: (rollouts, tokens, s) for step, rollouts, tokens, s in session.execute(chosen)}
