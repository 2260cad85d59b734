"""Each queue's jobs, workers and expected wait."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Double, Select, case, cast, func, or_, select
from sqlalchemy.orm import Session

from store import workers
from store.jobs import queue
from store.states import Status
from store.tables import Attempt, Job, Worker

RECENT_JOBS = 200
"""Number of latest succeeded jobs from which the median duration is taken."""


@dataclass(frozen=True)
class QueueState:
    """Current state of one queue, over all projects."""

    name: str
    num_queued: int = 0
    num_due: int = 0
    """Queued jobs that are not delayed by a start time or after a failure."""
    num_running: int = 0
    oldest_wait_seconds: float | None = None
    """Age of the oldest due job; None: none is due."""
    num_workers: int = 0
    """Workers that serve the queue and do not drain."""
    num_slots: int = 0
    num_free_slots: int = 0
    """Free slots of these workers, which their other queues may use as well."""
    job_seconds: float | None = None
    """Median duration of the queue's latest succeeded jobs, if any."""

    @property
    def wait_seconds(self) -> float | None:
        """Estimated wait of a job submitted now; None: unknown.

        The due jobs without a free slot must end first, and of `num_slots` jobs one ends every
        `job_seconds / num_slots`.  Priorities, quotas and GPUs are ignored.
        """
        if self.num_slots == 0:
            return None
        ahead = self.num_due + 1 - self.num_free_slots
        if ahead <= 0:
            return 0.0
        return None if self.job_seconds is None else ahead * self.job_seconds / self.num_slots


def states(session: Session) -> list[QueueState]:
    """Return the state of every queue that has a queued or running job or a worker, by name."""
    waiting = {row.queue: row for row in session.execute(_waiting())}
    counted = select(Job.queue, func.count()).where(Job.status == Status.RUNNING)
    running = dict(session.execute(counted.group_by(Job.queue)).all())
    serving = _serving(session)
    durations = dict(session.execute(_durations()).all())
    return [
        QueueState(
            name=name,
            num_queued=waiting[name].num_queued if name in waiting else 0,
            num_due=waiting[name].num_due if name in waiting else 0,
            oldest_wait_seconds=waiting[name].oldest_wait_seconds if name in waiting else None,
            num_running=running.get(name, 0),
            num_workers=len(serving.get(name, ())),
            num_slots=sum(worker.slots for worker, _ in serving.get(name, ())),
            num_free_slots=sum(free for _, free in serving.get(name, ())),
            job_seconds=durations.get(name),
        )
        for name in sorted({*waiting, *running, *serving})
    ]


def _waiting() -> Select[*tuple[Any, ...]]:
    """Select per queue the queued jobs, the due ones, and the oldest due job's wait [s].

    After an attempt a job's wait begins at the end of its last attempt.
    """
    tried = select(Attempt.ended_at).where(Attempt.job_id == Job.id, Attempt.number == Job.attempt)
    came_at = case((Job.attempt > 0, tried.correlate(Job).scalar_subquery()), else_=Job.queued_at)
    held_until = func.greatest(Job.not_before, Job.retry_at)
    due = or_(~Job.deferred, held_until <= func.now())
    due_at = func.greatest(came_at, held_until)
    waited = func.extract("epoch", func.now() - func.min(due_at).filter(due))
    return (
        select(
            Job.queue,
            func.count().label("num_queued"),
            func.count().filter(due).label("num_due"),
            cast(waited, Double).label("oldest_wait_seconds"),
        )
        .where(queue.waits())
        .group_by(Job.queue)
    )


def _serving(session: Session) -> dict[str, list[tuple[Worker, int]]]:
    """Map each queue to its workers, each with the number of its free slots."""
    counted = select(Job.worker_id, func.count()).where(Job.status == Status.RUNNING)
    busy = dict(session.execute(counted.group_by(Job.worker_id)).all())
    serving: dict[str, list[tuple[Worker, int]]] = {}
    for worker in workers.list_workers(session):
        if worker.draining_at is None and worker.blocked is None:
            free = max(worker.slots - busy.get(worker.id, 0), 0)
            for name in worker.queues:
                serving.setdefault(name, []).append((worker, free))
    return serving


def _durations() -> Select[str, float]:
    """Select per queue the median duration of the latest succeeded jobs [s]."""
    took = func.extract("epoch", Job.finished_at - Job.started_at).label("took")
    last = (
        select(Job.queue, took)
        .where(Job.status == Status.SUCCEEDED)
        .order_by(Job.finished_at.desc())
        .limit(RECENT_JOBS)
        .subquery()
    )
    median = func.percentile_cont(0.5).within_group(last.c.took)
    return select(last.c.queue, cast(median, Double)).group_by(last.c.queue)
