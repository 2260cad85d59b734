"""Comparison of jobs, as the API shows it."""

from collections.abc import Sequence
from typing import Self

from pydantic import Field

from api.schemas.base import View
from store import ids
from store.log.curve_by_cost import Axis, Point
from store.states import Status
from store.tables import Job


class Measured(View):
    """A job's progress and its cost."""

    score: float | None = Field(description="The metric's last value; null: not measured yet.")
    rollouts: float
    tokens: float
    seconds: float = Field(description="Seconds spent in training steps.")

    @classmethod
    def of(cls, points: Sequence[Point]) -> Self:
        if not points:
            return cls(score=None, rollouts=0, tokens=0, seconds=0)
        last = points[-1]
        return cls(
            score=last.value, rollouts=last.rollouts, tokens=last.tokens, seconds=last.seconds
        )


class ComparedJob(View):
    """One job's curve over the common axis, and its score and cost relative to the baseline."""

    id: str
    name: str
    status: Status
    group_size: int
    step: list[int]
    x: list[float] = Field(description="Each step's value on the axis.")
    value: list[float | None] = Field(
        description="One value per entry of `x`; null where not finite."
    )
    measured: Measured
    score_kept: float | None = Field(description="Score relative to the baseline.")
    rollouts_saved: float | None = Field(description="Fraction saved relative to the baseline.")
    time_saved: float | None = Field(description="Fraction saved relative to the baseline.")

    @classmethod
    def of(cls, job: Job, points: Sequence[Point], axis: Axis, baseline: Measured) -> Self:
        measured = Measured.of(points)
        return cls(
            id=ids.encode("job", job.id),
            name=job.name,
            status=job.status,
            group_size=job.spec["algorithm"]["group_size"],
            step=[point.step for point in points],
            x=[point.at(axis) for point in points],
            value=[point.value for point in points],
            measured=measured,
            score_kept=_share(measured.score, baseline.score),
            rollouts_saved=_saved(measured.rollouts, baseline.rollouts),
            time_saved=_saved(measured.seconds, baseline.seconds),
        )


class Comparison(View):
    """Jobs on one axis, in the order of the request."""

    metric: str
    x: Axis
    baseline: str = Field(description="The job that the others are compared with.")
    jobs: list[ComparedJob]


def _share(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _saved(part: float, whole: float) -> float | None:
    share = _share(part, whole)
    return None if share is None else 1 - share
