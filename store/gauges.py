"""Gauges for operators: counts over the whole server, read together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Double, cast, func, select
from sqlalchemy.orm import Session

from store.jobs import queue_stats as queues
from store.jobs.queue_stats import QueueState
from store.states import Status
from store.tables import Attempt, Delivery, Event, Job, ReaperRun, Worker
from store.webhooks.events import TEST

SILENT_FRACTION = 0.5
"""Fraction of a lease without a sync after which a worker, which syncs every second, has a
problem."""


@dataclass(frozen=True)
class Gauges:
    """Current state of the server."""

    jobs: Mapping[str, int]
    """Number of jobs by status."""
    queues: Sequence[QueueState]
    workers: Mapping[str, int]
    """Number of connected workers: `active`, `draining`, `blocked` (unable to run jobs)."""
    leases: Mapping[str, int]
    """Leases of running jobs: `held`, `expiring` (not renewed for half their length), `expired`."""
    attempts: Mapping[str, int]
    """Number of attempts by outcome; `running` without one yet."""
    reaper_age_seconds: float | None
    """Time since the reaper's last run; None: it has never run."""
    deliveries_due: int
    oldest_delivery_seconds: float | None
    """Age of the oldest due delivery; None: none is due."""


def read(session: Session, *, lease_seconds: float) -> Gauges:
    """Read all gauges; counts come from indexes, so that many ended jobs cost little."""
    due, oldest = _deliveries_due(session)
    return Gauges(
        jobs=_jobs(session),
        queues=queues.states(session),
        workers=_workers(session),
        leases=_leases(session, lease_seconds),
        attempts=_attempts(session),
        reaper_age_seconds=session.scalar(select(_seconds_since(ReaperRun.last_run_at))),
        deliveries_due=due,
        oldest_delivery_seconds=oldest,
    )


def _deliveries_due(session: Session) -> tuple[int, float | None]:
    """Return the number of due deliveries, pending events included, and the oldest's age [s]."""
    deliveries = select(Delivery.next_try_at.label("at")).where(
        Delivery.next_try_at <= func.now(), Delivery.event != TEST
    )
    waiting = deliveries.union_all(select(Event.created_at)).subquery()
    num_due, oldest = session.execute(
        select(func.count(), _seconds_since(func.min(waiting.c.at)))
    ).one()
    return num_due, oldest


def _jobs(session: Session) -> dict[str, int]:
    counted = select(Job.status, func.count()).group_by(Job.status)
    found = dict(session.execute(counted).all())
    return {status.value: found.get(status, 0) for status in Status}


def _workers(session: Session) -> dict[str, int]:
    draining = func.count().filter(Worker.draining_at.is_not(None))
    blocked = func.count().filter(Worker.draining_at.is_(None), Worker.blocked.is_not(None))
    counted = (func.count() - draining - blocked, draining, blocked)
    query = select(*counted).where(Worker.gone_at.is_(None))
    return dict(zip(("active", "draining", "blocked"), session.execute(query).one(), strict=True))


def _leases(session: Session, lease_seconds: float) -> dict[str, int]:
    ends, now = Job.lease_expires_at, func.now()
    silent = now + timedelta(seconds=SILENT_FRACTION * lease_seconds)
    query = select(
        func.count().filter(ends >= silent),
        func.count().filter(ends >= now, ends < silent),
        func.count().filter(ends < now),
    ).where(Job.status == Status.RUNNING)
    names = ("held", "expiring", "expired")
    return dict(zip(names, session.execute(query).one(), strict=True))


def _attempts(session: Session) -> dict[str, int]:
    counted = select(Attempt.outcome, func.count()).group_by(Attempt.outcome)
    found = dict(session.execute(counted).all())
    outcomes = ("completed", "stopped", "failed", "lost")
    return {"running": found.get(None, 0), **{name: found.get(name, 0) for name in outcomes}}


def _seconds_since(at: ColumnElement[Any] | Any) -> ColumnElement[float]:  # noqa: ANN401
    return cast(func.extract("epoch", func.now() - at), Double)
