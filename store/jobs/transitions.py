"""What a user may do to a job that is there.

Each locks the job's row first: of two moves at once, or of a move and the end of an attempt, the
second one sees what the first has done.
"""

from collections.abc import Mapping
from typing import Any, TypedDict
from uuid import UUID

from sqlalchemy import delete as delete_rows
from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from grpo.spec.job import JobSpec
from store.errors import Conflict
from store.ids import encode
from store.jobs import checkpoints, jobs, quota
from store.log import log
from store.states import Status, Wanted
from store.tables import Checkpoint, Job
from store.telemetry.trace import Trace

SWEEP_LABEL = "sweep"
"""On each of a sweep's jobs; its value is the sweep's id."""


class Change(TypedDict, total=False):
    """What of a job may change after its submission."""

    name: str
    labels: dict[str, str]
    priority: int


def cancel(session: Session, project_id: UUID, job_id: UUID, *, kill: bool, reason: str) -> Job:
    """Want the job to end.  A job that waits is cancelled here; a running one by its worker.

    Asking again, or for less than was asked before, changes nothing.

    Raises:
        NotFound: there is no such job in this project.
        Conflict: it has ended already.
    """
    job = jobs.locked(session, project_id, job_id)
    _refuse_ended(job, "there is nothing to cancel")
    wanted = Wanted.KILL if kill else Wanted.CANCEL
    if job.wanted in (wanted, Wanted.KILL):
        return job
    if job.status is Status.RUNNING:
        return _move(session, job, wanted=wanted, reason=reason)
    return _move(
        session,
        job,
        status=Status.CANCELLED,
        wanted=wanted,
        reason=reason,
        finished_at=func.now(),
    )


def pause(session: Session, project_id: UUID, job_id: UUID, *, reason: str) -> Job:
    """Want the job to hold on.  A queued job is paused here; a running one by its worker.

    Raises:
        NotFound: there is no such job in this project.
        Conflict: it has ended, or is about to.
    """
    job = jobs.locked(session, project_id, job_id)
    _refuse_ended(job, "there is nothing to pause")
    _refuse_ending(job, "it cannot be paused any more")
    if job.wanted is Wanted.PAUSE:
        return job
    if job.status is Status.RUNNING:
        return _move(session, job, wanted=Wanted.PAUSE, reason=reason)
    return _move(session, job, status=Status.PAUSED, wanted=Wanted.PAUSE, reason=reason)


def resume(session: Session, project_id: UUID, job_id: UUID, *, reason: str) -> Job:
    """Take the wish to pause back: the one way in which `wanted` falls.

    A paused job goes to the end of the queue (of its priority): while it did not want to run it
    did not wait, and no place is held by pausing.  What was left of a wait after a failure is over:
    its user wants it now.  A running job that was only asked to pause runs on; if its trainer stops
    all the same, it keeps its place.

    Raises:
        NotFound: there is no such job in this project.
        Conflict: it has ended, or is about to.
        QuotaExceeded: as many jobs of the project wait as may.
    """
    job = jobs.locked(session, project_id, job_id)
    _refuse_ended(job, "retry it, or fork one of its checkpoints")
    _refuse_ending(job, "retry it once it has ended")
    if job.wanted is Wanted.RUN:
        return job
    if job.status is Status.RUNNING:
        return _move(session, job, wanted=Wanted.RUN, reason=reason)
    quota.hold_place(session, project_id)
    return _move(
        session,
        job,
        status=Status.QUEUED,
        wanted=Wanted.RUN,
        reason=reason,
        queued_at=func.now(),
        retry_at=None,
        deferred=job.not_before is not None,
    )


def change(session: Session, project_id: UUID, job_id: UUID, wanted: Change, *, by: str) -> Job:
    """Give a job another name, other labels or another priority; its spec says the same.

    Raises:
        NotFound: there is no such job in this project.
        Conflict: its priority matters no more, or it would leave its sweep.
    """
    job = jobs.locked(session, project_id, job_id)
    if "labels" in wanted:
        wanted = {**wanted, "labels": _in_its_sweep(job, wanted["labels"])}
    new = {name: value for name, value in wanted.items() if value != getattr(job, name)}
    if "priority" in new and job.status not in (Status.QUEUED, Status.PAUSED):
        raise Conflict(
            f"job {encode('job', job_id)} is {job.status}: "
            "a priority orders the queue, so it changes only while a job is queued or paused"
        )
    if not new:
        return job
    changed = update(Job).where(Job.id == job_id, Job.status == job.status)
    session.execute(
        changed.values(**new, spec=_with(job.spec, new)).execution_options(
            synchronize_session=False
        )
    )
    payload = {"level": "info", "text": f"{', '.join(sorted(new))} changed by {by}"}
    log.append(session, job_id, job.attempt, [log.Note("message", payload)])
    session.refresh(job)
    return job


def _in_its_sweep(job: Job, labels: dict[str, str]) -> dict[str, str]:
    """The labels with that which holds a sweep together, where the job has it."""
    sweep = job.labels.get(SWEEP_LABEL)
    if sweep is None or labels.get(SWEEP_LABEL) == sweep:
        return labels
    if SWEEP_LABEL in labels:
        raise Conflict(f"the label {SWEEP_LABEL!r} holds the jobs of {sweep} together: leave it")
    return {**labels, SWEEP_LABEL: sweep}


def ended(session: Session, project_id: UUID, job_id: UUID) -> Job:
    """A job that has ended, locked: to be retried.

    Raises:
        NotFound: there is no such job in this project.
        Conflict: it has not ended.
    """
    job = jobs.locked(session, project_id, job_id)
    _refuse_live(job, "only a job that has ended is retried; a paused one is resumed")
    return job


def retry(
    session: Session,
    ended: Job,
    *,
    key_id: UUID,
    spec: JobSpec,
    total_steps: int | None,
    by: str,
    trace: Trace | None = None,
) -> Job:
    """A new job that goes on where `ended`, which is locked, came to: from its last checkpoint
    that is not known to be damaged, or anew where it never had one to go on from.

    Args:
        spec: that of `ended`.

    Raises:
        NotFound: one of its files is gone.
        Conflict: it began from another job's checkpoint, and none is left that is not damaged.
    """
    start = checkpoints.held_start(session, ended)
    place = "from the beginning" if start is None else f"from step {start.step}"
    return jobs.submit(
        session,
        project_id=ended.project_id,
        key_id=key_id,
        spec=spec,
        total_steps=total_steps,
        retry_of=ended.id,
        start=start,
        reason=f"retry of {encode('job', ended.id)} {place}, by {by}",
        trace=trace,
    )


def delete(session: Session, project_id: UUID, job_id: UUID) -> None:
    """Remove an ended job with its log, its attempts and its checkpoints.

    Its files, under `jobs.artifact_key`, are the caller's to delete after the commit: a crash
    between leaves files without a row, which the workers' tidying finds.

    Raises:
        NotFound: there is no such job in this project.
        Conflict: it has not ended, or another job needs one of its checkpoints.
    """
    job = jobs.locked(session, project_id, job_id)
    _refuse_live(job, "cancel it, and delete it once it has ended")
    _lock_followers(session, job)
    # Waits for a submission that holds one of them, and then sees its job below.
    own = select(Checkpoint.id).where(Checkpoint.job_id == job_id).order_by(Checkpoint.id)
    ids = session.scalars(own.with_for_update()).all()
    for checkpoint_id, user_id in checkpoints.users(session, project_id, ids).items():
        raise Conflict(
            f"job {encode('job', user_id)} needs its checkpoint {encode('ckpt', checkpoint_id)}: "
            "wait for that job's end, or if it trained an adapter delete it first"
        )
    removed = delete_rows(Job).where(Job.id == job_id, Job.status == job.status)
    session.execute(removed.execution_options(synchronize_session=False))
    session.expunge(job)


def _lock_followers(session: Session, job: Job) -> None:
    """Lock the jobs that refer to this one or to one of its checkpoints, before anything that they
    may wait for: whoever changes such a job twice in a transaction makes Postgres look at what it
    refers to."""
    own = select(Checkpoint.id).where(Checkpoint.job_id == job.id)
    followers = select(Job.id).where(or_(Job.retry_of == job.id, Job.start_checkpoint_id.in_(own)))
    session.execute(followers.order_by(Job.id).with_for_update(key_share=True)).all()


def _with(spec: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The spec with what `Change` says, where a spec says it."""
    changed = {**spec, **{name: new[name] for name in ("name", "labels") if name in new}}
    if "priority" in new:
        changed["resources"] = {**spec["resources"], "priority": new["priority"]}
    return changed


def _move(
    session: Session,
    job: Job,
    *,
    wanted: Wanted,
    reason: str,
    **changes: Any,  # noqa: ANN401 - columns
) -> Job:
    """Move a locked job.  Its status has a new reason only if it is a new one."""
    if "status" in changes:
        changes["status_reason"] = reason
    moved = update(Job).where(Job.id == job.id, Job.status == job.status, Job.wanted == job.wanted)
    session.execute(
        moved.values(wanted=wanted, **changes).execution_options(synchronize_session=False)
    )
    payload = {"status": changes.get("status", job.status), "reason": reason, "wanted": wanted}
    log.append(session, job.id, job.attempt, [log.Note("status", payload)])
    session.refresh(job)
    return job


def _refuse_ended(job: Job, hint: str) -> None:
    if job.status.terminal:
        raise Conflict(f"job {encode('job', job.id)} has ended ({job.status}): {hint}")


def _refuse_live(job: Job, hint: str) -> None:
    if not job.status.terminal:
        raise Conflict(f"job {encode('job', job.id)} is {job.status}: {hint}")


def _refuse_ending(job: Job, hint: str) -> None:
    if job.wanted.ends:
        raise Conflict(f"job {encode('job', job.id)} is being cancelled: {hint}")
