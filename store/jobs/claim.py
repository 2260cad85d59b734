"""The claim: a worker's next job, in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from store import workers
from store.ids import encode
from store.jobs import checkpoints, queue
from store.jobs.checkpoints import CheckpointRef
from store.log import log
from store.states import Status, Wanted
from store.tables import Attempt, Job
from store.webhooks import events


@dataclass(frozen=True)
class Claim:
    """A job claimed by this worker, for as long as the lease lasts."""

    job_id: UUID
    project_id: UUID
    attempt: int
    spec: dict[str, Any]
    resume: CheckpointRef | None
    """Checkpoint to resume from; None: a fresh start."""
    wanted: Wanted
    traceparent: str | None = None
    """Trace context of the submitting request."""


def claim_next(
    session: Session,
    *,
    worker_id: UUID,
    host: str,
    queues: Sequence[str],
    num_gpus: int,
    lease_seconds: float,
    boot_id: str,
    gpus: str | None = None,
) -> Claim | None:
    """Claim the best queued job that this worker can run; None: no job fits, or the worker is
    draining.

    `gpus`: the attempt's devices, in the format of CUDA_VISIBLE_DEVICES.
    """
    job = _next_job(session, worker_id, queues=queues, num_gpus=num_gpus)
    if job is None:
        return None
    resume = checkpoints.resume_point(session, job)
    attempt = Attempt(
        job_id=job.id,
        number=job.attempt + 1,
        worker_id=worker_id,
        host=host,
        boot_id=boot_id,
        gpus=gpus,
        resumed_from_step=None if resume is None else resume.step,
    )
    _begin(session, attempt, lease_seconds)
    queue.note_turn(session, job.project_id)
    _record(session, attempt)
    return _claim_of(job, attempt, resume)


def _next_job(
    session: Session, worker_id: UUID, *, queues: Sequence[str], num_gpus: int
) -> Job | None:
    """Return the job to claim, locked.

    Claims are serialized: under SKIP LOCKED alone each would count a project's running jobs without
    concurrent claims.
    """
    session.execute(select(func.pg_advisory_xact_lock(queue.CLAIM_LOCK)))
    if workers.drains(session, worker_id):
        return None
    queue.take_in_due(session)
    return queue.first(session, queues=queues, num_gpus=num_gpus)


def _begin(session: Session, attempt: Attempt, lease_seconds: float) -> None:
    """Store the attempt, and move its job from queued to running, with a lease."""
    session.add(attempt)
    session.flush()
    claimed = (
        update(Job)
        .where(Job.id == attempt.job_id, Job.status == Status.QUEUED)
        .values(
            status=Status.RUNNING,
            status_reason=_reason(attempt),
            attempt=attempt.number,
            worker_id=attempt.worker_id,
            lease_expires_at=func.now() + timedelta(seconds=lease_seconds),
            shipped=0,
            started_at=func.coalesce(Job.started_at, func.now()),
            step=attempt.resumed_from_step or 0,
            latest_metrics=log.metrics_at_end(session, attempt.job_id),
        )
    )
    session.execute(claimed.execution_options(synchronize_session=False))


def _record(session: Session, attempt: Attempt) -> None:
    """Record the change of status; webhooks' events are created later, because every claim waits
    for this."""
    payload = {
        "status": Status.RUNNING,
        "reason": _reason(attempt),
        "attempt": attempt.number,
        "resumed_from_step": attempt.resumed_from_step,
    }
    note = log.Note("status", payload)
    log.append(session, attempt.job_id, attempt.number, [note], tell=events.tell_later)


def _reason(attempt: Attempt) -> str:
    return f"claimed by {encode('work', attempt.worker_id)} on {attempt.host}"


def _claim_of(job: Job, attempt: Attempt, resume: CheckpointRef | None) -> Claim:
    return Claim(
        job_id=job.id,
        project_id=job.project_id,
        attempt=attempt.number,
        spec=job.spec,
        resume=resume,
        wanted=job.wanted,
        traceparent=job.traceparent,
    )
