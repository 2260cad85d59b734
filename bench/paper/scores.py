"""Numbers of the tables: runs read off at a budget, with confidence intervals over seeds."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev
from typing import Literal

from bench.paper.runs import Result

Axis = Literal["prompts", "rollouts", "seconds"]

# Student's t at 97.5 %, by degrees of freedom.
T_VALUES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


@dataclass(frozen=True)
class Mean:
    """A mean over seeds; `half_width` of its 95 % interval, None with one seed."""

    value: float
    half_width: float | None = None

    @classmethod
    def of(cls, values: Sequence[float]) -> "Mean":
        """The mean of one value per seed, with Student's interval."""
        if len(values) < 2:
            return cls(values[0])
        t = T_VALUES[min(len(values) - 2, len(T_VALUES) - 1)]
        return cls(fmean(values), t * stdev(values) / sqrt(len(values)))


@dataclass(frozen=True)
class Score:
    """A method at a budget."""

    accuracy: Mean
    passed: Mean
    rollouts: Mean
    seconds: Mean


def score(results: Sequence[Result], axis: Axis, budget: float) -> Score:
    """Return a method's score where its runs have used a budget, or at their end."""
    steps = [step_at(result, axis, budget) for result in results]
    at = list(zip(results, steps, strict=True))
    return Score(
        accuracy=Mean.of([_at(r.evaluated_steps, r.accuracy, step) for r, step in at]),
        passed=Mean.of([_at(r.evaluated_steps, r.passed, step) for r, step in at]),
        rollouts=Mean.of([_at(_steps(r), r.rollouts, step) for r, step in at]),
        seconds=Mean.of([_at(_steps(r), r.seconds, step) for r, step in at]),
    )


def step_at(result: Result, axis: Axis, budget: float) -> float:
    """Return the step, in fractions, at which a run has used a budget; at most its last."""
    return _at(getattr(result, axis), [float(step) for step in _steps(result)], budget)


def equal_seconds(by_method: Mapping[str, Sequence[Result]]) -> float:
    """Return the time in which the fastest method uses its rollouts: all have run as long."""
    return min(fmean(run.seconds[-1] for run in runs) for runs in by_method.values())


def base_score(results: Sequence[Result]) -> Mean:
    """Return the accuracy before training."""
    return Mean.of([result.accuracy[0] for result in results])


def tied(results: Sequence[Result]) -> tuple[float, float]:
    """Return the share of tied groups over all steps, and the share that the pass rate predicts."""
    measured = [value for run in results for value in run.curves["groups/tied_fraction"]]
    kept = [value for run in results for value in run.curves["groups/expected_keep_rate"]]
    return fmean(measured), 1 - fmean(kept)


def _steps(result: Result) -> list[int]:
    return [0, *result.steps]


def _at(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    """Return y at x by linear interpolation; x beyond either end is that end."""
    if x <= xs[0]:
        return ys[0]
    if x >= xs[-1]:
        return ys[-1]
    after = bisect_right(xs, x)
    share = (x - xs[after - 1]) / (xs[after] - xs[after - 1])
    return ys[after - 1] + share * (ys[after] - ys[after - 1])
