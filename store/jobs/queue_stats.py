"""What each queue holds, who serves it, and how long a new job may wait in it."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Double, Select, case, cast, func, or_, select
from sqlalchemy.orm import Session

from store import workers
from store.jobs import queue
from store.states import Status
from store.tables import Attempt, Job, Worker

RECENT_JOBS = 200
"""So many of the last jobs that succeeded say how long jobs take."""


@dataclass(frozen=True)
class QueueState:
    """One queue now: everybody's jobs."""

    name: str
    num_queued: int = 0
    num_due: int = 0
    """Of those, how many are not held back by a start time or after a failure."""
    num_running: int = 0
    oldest_wait_seconds: float | None = None
    """Of the job that is due for longest; None: none is."""
    num_workers: int = 0
    """That serve it and do not drain."""
    num_slots: int = 0
    num_free_slots: int = 0
    """What these workers have free: other queues of theirs may take it as well."""
    job_seconds: float | None = None
    """The median duration of its jobs among the last that succeeded; None: there is none."""

    @property
    def wait_seconds(self) -> float | None:
        """About how long a job would wait that came now; None: nothing is known to go by.

        As many jobs as are due and find no free slot end before it, and of `num_slots` one ends
        every `job_seconds / num_slots`.  Priorities, quotas and GPUs are left out.
        """
        if self.num_slots == 0:
            return None
        ahead = self.num_due + 1 - self.num_free_slots
        if ahead <= 0:
            return 0.0
        return None if self.job_seconds is None else ahead * self.job_seconds / self.num_slots


def states(session: Session) -> list[QueueState]:
    """Of every queue in which a job waits or runs, or which a worker serves, by name."""
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
    """By queue: how many jobs wait, how many of these are due, and for how long the oldest [s].

    Where a job has been tried, its wait begins with the end of its last attempt.
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
    """By queue: the workers that take its jobs, each with how many slots it has free."""
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
    """By queue: the median duration of the last jobs that succeeded [s]."""
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
