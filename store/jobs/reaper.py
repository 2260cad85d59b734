"""The reaper of lost attempts, which requeues jobs whose lease has expired."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from store.jobs import attempts, queue
from store.jobs.outcomes import ExitInfo, Lost
from store.states import Status
from store.tables import Attempt, Job, ReaperRun, Worker

# Any constant: one reaper at a time is enough.
REAPER_LOCK = 7_215_064_003


@dataclass(frozen=True)
class Reaped:
    """The result of one run of the reaper."""

    requeued: int
    """Jobs with an expired lease that are queued again, paused, or cancelled as requested."""
    failed: int
    """Jobs with an expired lease that reached their limit of failures."""
    queued: bool
    """Whether a job can be claimed, so that workers should be woken up."""


def reap(
    session: Session, *, outage_seconds: float, lease_seconds: float, retry_seconds: float = 0
) -> Reaped:
    """End the attempts whose lease has expired, and mark silent workers gone.

    Neither happens for one lease after an outage (the last run is more than `outage_seconds` ago),
    so that workers that could not renew their leases have time to do so.  While another process
    reaps, the call does nothing.  `retry_seconds`: a job's wait after its first lost attempt.
    """
    if not session.scalar(select(func.pg_try_advisory_xact_lock(REAPER_LOCK))):
        return Reaped(0, 0, queued=False)
    requeued = failed = 0
    if not _holding(session, outage_seconds=outage_seconds, lease_seconds=lease_seconds):
        ended = [_end_lost(session, job, retry_seconds) for job in _expired(session)]
        failed = ended.count(Status.FAILED)
        requeued = len(ended) - failed
        _mark_gone(session, silent_seconds=lease_seconds)
    return Reaped(requeued, failed, queued=session.scalars(queue.any_claimable()).one())


def _holding(session: Session, *, outage_seconds: float, lease_seconds: float) -> bool:
    """Record the time of this run; return whether an outage ended less than a lease ago."""
    grace_end = func.now() + timedelta(seconds=lease_seconds)
    first = insert(ReaperRun).values(id=1, last_run_at=func.now(), hold_until=grace_end)
    session.execute(first.on_conflict_do_nothing())
    outage = ReaperRun.last_run_at < func.now() - timedelta(seconds=outage_seconds)
    session.execute(
        update(ReaperRun)
        .where(outage)
        .values(hold_until=grace_end)
        .execution_options(synchronize_session=False)
    )
    noted = (
        update(ReaperRun)
        .values(last_run_at=func.now())
        .returning(ReaperRun.hold_until > func.now())
    )
    return bool(session.scalar(noted.execution_options(synchronize_session=False)))


def _expired(session: Session) -> list[Job]:
    """Running jobs with an expired lease, locked; one whose worker is syncing is left alone."""
    query = select(Job).where(Job.status == Status.RUNNING, Job.lease_expires_at < func.now())
    return list(session.scalars(query.order_by(Job.id).with_for_update(skip_locked=True)))


def _end_lost(session: Session, job: Job, retry_seconds: float) -> Status:
    attempt = session.get_one(Attempt, (job.id, job.attempt))
    error = {
        "code": "worker_lost",
        "message": f"the worker on {attempt.host} stopped reporting during attempt {job.attempt}",
        "hint": "check that the machine is running and reaches Postgres; "
        "the job resumes from its last checkpoint on another worker, if it may be retried",
    }
    return attempts.end(session, job, Lost(error), ExitInfo(), retry_seconds=retry_seconds)


def _mark_gone(session: Session, *, silent_seconds: float) -> None:
    silent = Worker.last_seen_at < func.now() - timedelta(seconds=silent_seconds)
    gone = update(Worker).where(Worker.gone_at.is_(None), silent).values(gone_at=func.now())
    session.execute(gone.execution_options(synchronize_session=False))
