"""The sweep: what nobody holds any more is put back."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from store.jobs import attempts, queue
from store.jobs.outcomes import ExitInfo, Lost
from store.states import Status
from store.tables import Attempt, Job, Sweep, Worker

# Any constant: one sweep at a time is enough.
SWEEP_LOCK = 7_215_064_003


@dataclass(frozen=True)
class SweepResult:
    """What a sweep did."""

    requeued: int
    """Jobs whose lease was over and which wait again, or pause, or are cancelled as was wanted."""
    failed: int
    """Jobs whose lease was over, once too often."""
    queued: bool
    """Whether a job waits to be claimed and may be: then wake the workers up."""


def sweep(
    session: Session, *, outage_seconds: float, lease_seconds: float, retry_seconds: float = 0
) -> SweepResult:
    """End the attempts whose lease is over, and mark silent workers gone.

    Nothing of that happens for one lease after an outage (the last sweep is more than
    `outage_seconds` ago): whoever could not renew a lease because Postgres was away gets the time
    to do so.  While another process sweeps, this one does nothing.  `retry_seconds`: what a job
    waits after a first lost attempt.
    """
    if not session.scalar(select(func.pg_try_advisory_xact_lock(SWEEP_LOCK))):
        return SweepResult(0, 0, queued=False)
    requeued = failed = 0
    if not _holding(session, outage_seconds=outage_seconds, lease_seconds=lease_seconds):
        ended = [_end_lost(session, job, retry_seconds) for job in _expired(session)]
        failed = ended.count(Status.FAILED)
        requeued = len(ended) - failed
        _mark_gone(session, silent_seconds=lease_seconds)
    return SweepResult(requeued, failed, queued=session.scalars(queue.any_claimable()).one())


def _holding(session: Session, *, outage_seconds: float, lease_seconds: float) -> bool:
    """Note this sweep's time; whether an outage was less than a lease ago."""
    grace_end = func.now() + timedelta(seconds=lease_seconds)
    first = insert(Sweep).values(id=1, last_sweep_at=func.now(), hold_until=grace_end)
    session.execute(first.on_conflict_do_nothing())
    outage = Sweep.last_sweep_at < func.now() - timedelta(seconds=outage_seconds)
    session.execute(
        update(Sweep)
        .where(outage)
        .values(hold_until=grace_end)
        .execution_options(synchronize_session=False)
    )
    noted = update(Sweep).values(last_sweep_at=func.now()).returning(Sweep.hold_until > func.now())
    return bool(session.scalar(noted.execution_options(synchronize_session=False)))


def _expired(session: Session) -> list[Job]:
    """Running jobs whose lease is over, locked; one whose worker syncs just now is left alone."""
    query = select(Job).where(Job.status == Status.RUNNING, Job.lease_expires_at < func.now())
    return list(session.scalars(query.order_by(Job.id).with_for_update(skip_locked=True)))


def _end_lost(session: Session, job: Job, retry_seconds: float) -> Status:
    attempt = session.get_one(Attempt, (job.id, job.attempt))
    error = {
        "code": "worker_lost",
        "message": f"the worker on {attempt.host} fell silent during attempt {job.attempt}",
        "hint": "see whether that machine still runs and reaches Postgres; "
        "the run goes on from its last checkpoint elsewhere, if it may",
    }
    return attempts.end(session, job, Lost(error), ExitInfo(), retry_seconds=retry_seconds)


def _mark_gone(session: Session, *, silent_seconds: float) -> None:
    silent = Worker.last_seen_at < func.now() - timedelta(seconds=silent_seconds)
    gone = update(Worker).where(Worker.gone_at.is_(None), silent).values(gone_at=func.now())
    session.execute(gone.execution_options(synchronize_session=False))
