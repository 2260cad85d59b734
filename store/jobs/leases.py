"""The worker's protocol: one transaction per call, with the attempt's number as the fence.

Time is the database's `now()`, the beginning of the transaction: a worker that noted its own
clock before the call knows that its lease lasts at least that long.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from store.errors import LeaseLost
from store.ids import encode, new_id
from store.jobs import attempts, checkpoints, progress
from store.jobs.checkpoints import CheckpointRef
from store.jobs.outcomes import ExitInfo, Failed, Outcome
from store.log import log
from store.log.log import Entry
from store.states import Status, Wanted
from store.tables import Attempt, Checkpoint, Job, Record


def record_process(
    session: Session, job_id: UUID, attempt: int, *, pid: int, process_started_at: int
) -> None:
    """Record the attempt's trainer process, so that a leftover one can be found.

    Args:
        process_started_at: clock ticks since boot, field 22 of /proc/PID/stat.

    Raises:
        LeaseLost: the attempt is over.
    """
    _held(session, job_id, attempt)
    noted = update(Attempt).where(Attempt.job_id == job_id, Attempt.number == attempt)
    session.execute(
        noted.values(pid=pid, process_started_at=process_started_at).execution_options(
            synchronize_session=False
        )
    )


def sync(
    session: Session, job_id: UUID, attempt: int, entries: Sequence[Entry], lease_seconds: float
) -> Wanted:
    """Append records, extend the lease, and return the user's request.

    The lock on the job's row is fence, sequencer and heartbeat together.  Entries already in the
    log (`n` up to `shipped`) are left out, so a shipment may be repeated.

    Raises:
        LeaseLost: the attempt is over; end its trainer process.
    """
    job = _held(session, job_id, attempt)
    new = [entry for entry in entries if entry.n > job.shipped]
    kept = log.append(session, job_id, attempt, new)
    if values := progress.evaluations(job, kept):
        ran = session.get_one(Attempt, (job_id, attempt))
        checkpoints.note_evaluations(session, ran, values)
    extended = (
        update(Job)
        .where(Job.id == job_id)
        .values(
            lease_expires_at=func.now() + timedelta(seconds=lease_seconds),
            shipped=max([job.shipped, *(entry.n for entry in new)]),
            **progress.summary(job, kept),
        )
        .execution_options(synchronize_session=False)
    )
    session.execute(extended)
    return job.wanted


def register_checkpoint(
    session: Session,
    job_id: UUID,
    attempt: int,
    *,
    step: int,
    key: str,
    manifest: dict[str, Any],
    bytes: int,
    final: bool,
    n: int,
) -> Checkpoint:
    """Register a checkpoint whose upload was verified.  Repeating a registration changes nothing.

    Args:
        n: the number of the trainer's notice, which this record replaces.

    Raises:
        LeaseLost: the attempt is over.
        ValueError: records before the notice are not in the log yet.
    """
    job = _held(session, job_id, attempt)
    registered = checkpoints.at_step(session, job_id, attempt, step)
    if registered is not None:
        return registered
    _check_no_gap(job, n)
    checkpoint = Checkpoint(
        id=new_id(),
        job_id=job_id,
        attempt=attempt,
        step=step,
        key=key,
        manifest=manifest,
        bytes=bytes,
        final=final,
        metric=_evaluated(session, job, step),
    )
    _store(session, checkpoint, n)
    return checkpoint


def _check_no_gap(job: Job, n: int) -> None:
    """Refuse a notice that arrives before earlier records: a resumed attempt would leave a gap."""
    if n > job.shipped + 1:
        raise ValueError(
            f"checkpoint notice {n} of attempt {job.attempt} comes after record {job.shipped}: "
            "sync the records between them first"
        )


def _store(session: Session, checkpoint: Checkpoint, n: int) -> None:
    """Store the checkpoint, reset the job's failures, and record it in place of notice `n`."""
    session.add(checkpoint)
    session.flush()
    registered = (
        update(Job)
        .where(Job.id == checkpoint.job_id)
        .values(failures=0, shipped=func.greatest(Job.shipped, n))
    )
    session.execute(registered.execution_options(synchronize_session=False))
    payload = {
        "id": encode("ckpt", checkpoint.id),
        "step": checkpoint.step,
        "bytes": checkpoint.bytes,
        "final": checkpoint.final,
    }
    note = log.Note("checkpoint", payload, step=checkpoint.step)
    log.append(session, checkpoint.job_id, checkpoint.attempt, [note])


def finish(
    session: Session,
    job_id: UUID,
    attempt: int,
    outcome: Outcome,
    exit: ExitInfo,
    *,
    retry_seconds: float = 0,
) -> Status:
    """End the attempt, change the job by `outcomes.decide` and return its new status.

    `retry_seconds`: the job's wait after a first failure (`outcomes.backoff_seconds`).

    Raises:
        LeaseLost: the attempt is over already.
    """
    job = _held(session, job_id, attempt)
    return attempts.end(session, job, outcome, exit, retry_seconds=retry_seconds)


def step_over(
    session: Session,
    job_id: UUID,
    attempt: int,
    damaged: CheckpointRef,
    error: dict[str, Any],
    exit: ExitInfo,
) -> Status:
    """End an attempt whose checkpoint is damaged: the next one resumes from the one before.

    The end does not count as a failure: one checkpoint fewer is left each time, so this terminates.
    A job that should begin from another job's checkpoint fails, because its user did not ask for a
    run without that checkpoint.

    Args:
        error: the trainer's {code, message, hint}.

    Raises:
        LeaseLost: the attempt is over already.
    """
    job = _held(session, job_id, attempt)
    marked = checkpoints.mark_damaged(session, damaged.id)
    own = marked is None or marked.job_id == job_id
    text = f"the checkpoint of step {damaged.step} is damaged: {error['message']}"
    if own:
        text = f"{text}; {_continuation(checkpoints.resume_point(session, job))}"
        log.append(
            session, job_id, attempt, [log.Note("message", {"level": "warning", "text": text})]
        )
    outcome = Failed({**error, "message": text}, retryable=own, counts=False)
    return attempts.end(session, job, outcome, exit)


def _continuation(resume: CheckpointRef | None) -> str:
    if resume is None:
        return "no earlier one exists, so the run restarts from step 0"
    return f"the run resumes from the previous one, of step {resume.step}"


def _held(session: Session, job_id: UUID, attempt: int) -> Job:
    """Return the job's row, locked, if it still belongs to this attempt: the fence."""
    query = (
        select(Job)
        .where(Job.id == job_id, Job.attempt == attempt, Job.status == Status.RUNNING)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    job = session.scalar(query)
    if job is None:
        raise LeaseLost(job_id, attempt)
    return job


def _evaluated(session: Session, job: Job, step: int) -> float | None:
    """Return `evaluation.metric` at a step; None: not evaluated, or not finite."""
    evals = select(Record.payload).where(Record.job_id == job.id, Record.kind == "eval")
    last = evals.where(Record.step == step, log.live()).order_by(Record.seq.desc()).limit(1)
    return (session.scalar(last) or {}).get(job.spec["evaluation"]["metric"])
