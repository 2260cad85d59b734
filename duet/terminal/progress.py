"""A job's progress, folded from its records."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from duet.objects.job import Job
from duet.objects.log import Record

PACE_STEPS = 10  # number of last steps from which the time left is estimated


@dataclass(frozen=True)
class Progress:
    """`accuracies` are (step, held-out accuracy); `step_times` are the last steps' [seconds]."""

    status: str
    phase: str | None = None
    attempt: int = 0
    step: int = 0
    total_steps: int | None = None
    reward: float | None = None
    tied_fraction: float | None = None
    tokens_per_second: float | None = None
    accuracies: tuple[tuple[int, float], ...] = ()
    step_times: tuple[float, ...] = ()

    @classmethod
    def of(cls, job: Job) -> "Progress":
        """Return the progress reported by the server, before further records."""
        numbers = job.latest_metrics
        step_time = numbers.get("step_time")
        return cls(
            status=job.status,
            phase=job.phase,
            attempt=job.attempt,
            step=job.progress.step,
            total_steps=job.progress.total_steps,
            reward=numbers.get("reward"),
            tied_fraction=numbers.get("groups/tied_fraction"),
            tokens_per_second=numbers.get("rollout/tokens_per_second"),
            step_times=() if step_time is None else (step_time,),
        )

    @property
    def seconds_left(self) -> float | None:
        """Estimated training time left, at the pace of the last steps; None: unknown."""
        if self.total_steps is None or not self.step_times:
            return None
        pace = sum(self.step_times) / len(self.step_times)
        return max(self.total_steps - self.step, 0) * pace

    def after(self, record: Record) -> "Progress":
        """Return the progress after one more record; kinds that are not shown leave it
        unchanged."""
        change = _CHANGES.get(record.kind)
        return change(self, record) if change else self


def _status(now: Progress, record: Record) -> Progress:
    return replace(
        now,
        status=record.payload["status"],
        attempt=record.payload.get("attempt", now.attempt),
        phase=None,
    )


def _phase(now: Progress, record: Record) -> Progress:
    total = record.payload.get("total_steps") or now.total_steps
    return replace(now, phase=record.payload["phase"], total_steps=total)


def _metric(now: Progress, record: Record) -> Progress:
    numbers = record.payload
    step_time = numbers.get("step_time")
    times = now.step_times if step_time is None else (*now.step_times, step_time)
    return replace(
        now,
        step=record.step or now.step,
        reward=numbers.get("reward"),
        tied_fraction=numbers.get("groups/tied_fraction"),
        tokens_per_second=numbers.get("rollout/tokens_per_second"),
        step_times=times[-PACE_STEPS:],
    )


def _eval(now: Progress, record: Record) -> Progress:
    accuracy = record.payload.get("eval/accuracy")
    if accuracy is None or record.step is None:
        return now
    return replace(now, accuracies=(*now.accuracies, (record.step, accuracy)))


def _resumed(now: Progress, record: Record) -> Progress:
    """Drop later steps of the previous attempt, which are superseded and repeated."""
    step = record.payload["from_step"]
    return replace(now, step=step, accuracies=_until(now.accuracies, step))


def _until(accuracies: Sequence[tuple[int, float]], step: int) -> tuple[tuple[int, float], ...]:
    return tuple(pair for pair in accuracies if pair[0] <= step)


_CHANGES = {
    "status": _status,
    "phase": _phase,
    "metric": _metric,
    "eval": _eval,
    "resumed": _resumed,
}
