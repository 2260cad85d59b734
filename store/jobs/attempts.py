"""Attempts: reading them and ending them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update
from sqlalchemy.orm import Session

from store.jobs.outcomes import (
    ExitInfo,
    Failed,
    Lost,
    Move,
    Outcome,
    backoff_seconds,
    checked,
    decide,
)
from store.log import log
from store.log.payloads import clean_text, sanitize
from store.states import Status
from store.tables import Attempt, Checkpoint, Job


@dataclass(frozen=True)
class Leftover:
    """A trainer process that may still run although its attempt is over."""

    job_id: UUID
    attempt: int
    pid: int
    process_started_at: int
    """Start time in clock ticks since boot."""


@dataclass(frozen=True)
class RunTime:
    """Run time of a job: its attempts only, without queue and backoff."""

    ended_seconds: float = 0.0
    """Summed over the attempts that have ended."""
    running_since: datetime | None = None
    """Start of the attempt that runs now."""


def run_times(session: Session, job_ids: Sequence[UUID]) -> dict[UUID, RunTime]:
    """Return the run time of each job that has had an attempt."""
    seconds = func.extract("epoch", Attempt.ended_at - Attempt.started_at)
    running = func.max(Attempt.started_at).filter(Attempt.ended_at.is_(None))
    query = (
        select(Attempt.job_id, func.coalesce(func.sum(seconds), 0), running)
        .where(Attempt.job_id.in_(job_ids))
        .group_by(Attempt.job_id)
    )
    return {job: RunTime(float(ended), since) for job, ended, since in session.execute(query)}


def list_attempts(session: Session, job_id: UUID) -> list[Attempt]:
    """Return a job's attempts, oldest first."""
    query = select(Attempt).where(Attempt.job_id == job_id).order_by(Attempt.number)
    return list(session.scalars(query))


def leftovers(session: Session, *, host: str, boot_id: str) -> list[Leftover]:
    """Return the processes of this host's lost attempts since the current boot.

    An attempt whose lease is still valid belongs to another worker, or will be listed soon.
    """
    holds_lease = and_(
        Job.status == Status.RUNNING,
        Job.attempt == Attempt.number,
        Job.lease_expires_at >= func.now(),
    )
    query = (
        select(Attempt.job_id, Attempt.number, Attempt.pid, Attempt.process_started_at)
        .join(Job, Job.id == Attempt.job_id)
        .where(Attempt.host == host, Attempt.boot_id == boot_id, Attempt.pid.is_not(None))
        .where(or_(Attempt.outcome.is_(None), Attempt.outcome == "lost"), ~holds_lease)
    )
    return [
        Leftover(job_id, number, pid, started)
        for job_id, number, pid, started in session.execute(query)
        if pid is not None and started is not None
    ]


def end(
    session: Session, job: Job, outcome: Outcome, exit: ExitInfo, *, retry_seconds: float = 0
) -> Status:
    """End a running job's current attempt and change the job's status by `outcomes.decide`.

    The caller must have locked the job's row and checked that the job runs.  `retry_seconds`: the
    job's wait after a first failure.
    """
    outcome = checked(outcome, has_final_checkpoint=_has_final_checkpoint(session, job.id))
    move = decide(
        outcome,
        wanted=job.wanted,
        failures=job.failures,
        max_failures=job.spec["resources"]["max_failures"],
    )
    error = _error(outcome, exit)
    _close(session, job, outcome, error, exit)
    _apply(session, job, move, error, _retry_at(job, move, retry_seconds))
    payload = {"status": move.status, "reason": move.reason, "attempt": job.attempt}
    log.append(session, job.id, job.attempt, [log.Note("status", payload)])
    return move.status


def _apply(
    session: Session,
    job: Job,
    move: Move,
    error: dict[str, Any] | None,
    retry_at: ColumnElement[datetime] | None,
) -> None:
    """Change the running job's status."""
    moved = (
        update(Job)
        .where(Job.id == job.id, Job.attempt == job.attempt, Job.status == Status.RUNNING)
        .values(
            status=move.status,
            status_reason=clean_text(move.reason),
            error=error if move.status is Status.FAILED else None,
            failures=move.failures,
            phase=None,
            worker_id=None,
            lease_expires_at=None,
            retry_at=retry_at,
            deferred=retry_at is not None,
            finished_at=func.now() if move.status.terminal else None,
            total_steps=Job.step if move.status is Status.SUCCEEDED else Job.total_steps,
        )
    )
    session.execute(moved.execution_options(synchronize_session=False))


def _close(
    session: Session, job: Job, outcome: Outcome, error: dict[str, Any] | None, exit: ExitInfo
) -> None:
    ended = update(Attempt).where(Attempt.job_id == job.id, Attempt.number == job.attempt)
    session.execute(
        ended.values(
            ended_at=func.now(),
            outcome=type(outcome).__name__.lower(),
            error=error,
            exit_code=exit.code,
            exit_signal=exit.signal,
            log_tail=clean_text(exit.log_tail) or None,
        ).execution_options(synchronize_session=False)
    )


def _retry_at(job: Job, move: Move, retry_seconds: float) -> ColumnElement[datetime] | None:
    """Return the earliest start of the next attempt; None: now.

    Only counted failures delay a job: pauses, drains and deploys do not.
    """
    if move.status is not Status.QUEUED or move.failures == job.failures:
        return None
    wait_seconds = backoff_seconds(move.failures, first_seconds=retry_seconds)
    return func.now() + timedelta(seconds=wait_seconds)


def _error(outcome: Outcome, exit: ExitInfo) -> dict[str, Any] | None:
    """Return {code, message, hint, log_tail}; the traceback stays in the log."""
    match outcome:
        case Failed(error) | Lost(error):
            named = {name: error.get(name) for name in ("code", "message", "hint")}
            return sanitize({**named, "log_tail": exit.log_tail or None})
        case _:
            return None


def _has_final_checkpoint(session: Session, job_id: UUID) -> bool:
    usable = Checkpoint.damaged_at.is_(None)
    query = select(exists().where(usable, Checkpoint.job_id == job_id, Checkpoint.final))
    return bool(session.scalar(query))
