"""Early stopping: the best evaluation so far, and the reasons to end training."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from grpo.errors import RunError
from grpo.spec.rollout import Evaluation


@dataclass(frozen=True)
class Best:
    """The highest value of `evaluation.metric` so far; `num_since`: number of evaluations since."""

    step: int
    value: float
    num_since: int


@dataclass(frozen=True)
class Verdict:
    """The outcome of an evaluation; `stop_reason`: why training should end, or None."""

    best: Best
    is_new_best: bool
    stop_reason: str | None


def measured(results: Mapping[str, float], evaluation: Evaluation) -> float:
    """Return the value of `evaluation.metric` in an evaluation's results.

    Raises:
        RunError: `bad_metric`, if the evaluation does not report it.
    """
    if evaluation.metric not in results:
        raise RunError(
            "bad_metric",
            f"evaluation.metric is {evaluation.metric!r}, which the evaluation does not report",
            hint=f"Choose one of {', '.join(sorted(results))}.",
        )
    return results[evaluation.metric]


def judge(best: Best | None, *, step: int, value: float, evaluation: Evaluation) -> Verdict:
    """Compare a step's evaluation, `value`, with the best one before it.

    Only a strictly greater value is a new best.
    """
    is_new_best = best is None or value > best.value
    if best is not None and not is_new_best:
        now = replace(best, num_since=best.num_since + 1)
    else:
        now = Best(step, value, num_since=0)
    return Verdict(now, is_new_best, _stop_reason(now, evaluation))


def _stop_reason(best: Best, evaluation: Evaluation) -> str | None:
    if evaluation.target is not None and best.value >= evaluation.target:
        return (
            f"ended early: {evaluation.metric} reached {best.value:.4f} "
            f"(target {evaluation.target:g})"
        )
    if evaluation.patience is not None and best.num_since >= evaluation.patience:
        return (
            f"ended early: {evaluation.metric} was best at step {best.step}, {best.value:.4f} "
            f"(patience {evaluation.patience})"
        )
    return None
