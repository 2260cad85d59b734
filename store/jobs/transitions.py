"""Transitions of a job at a user's request.

Each function locks the job's row first: of two concurrent transitions, or a transition and the end
of an attempt, the second sees the first one's result.
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

SWEEP_LABEL = "sweep"
"""Label of each job of a sweep; its value is the sweep's id."""


class Change(TypedDict, total=False):
    """Changeable fields of a submitted job."""

    name: str
    labels: dict[str, str]
    priority: int


def cancel(session: Session, project_id: UUID, job_id: UUID, *, kill: bool, reason: str) -> Job:
    """Request the end of a job.  A waiting job is cancelled here; a running one by its worker.

    Repeating the request, or a weaker one, changes nothing.

    Raises:
        NotFound: the job does not exist in this project.
        Conflict: the job has already ended.
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
    """Request a pause.  A queued job is paused here; a running one by its worker.

    Raises:
        NotFound: the job does not exist in this project.
        Conflict: the job has ended, or is being cancelled.
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
    """Withdraw the request to pause: the only transition that lowers `wanted`.

    A paused job goes to the end of the queue (of its priority), because pausing gives up its
    position.  The rest of a wait after a failure is dropped.  A running job that has not paused yet
    continues to run; if its trainer stops nevertheless, it keeps its queue position.

    Raises:
        NotFound: the job does not exist in this project.
        Conflict: the job has ended, or is being cancelled.
        QuotaExceeded: the project is at its limit of queued jobs.
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
    """Change a job's name, labels or priority, also in its spec.

    Raises:
        NotFound: the job does not exist in this project.
        Conflict: its priority no longer matters, or it would leave its sweep.
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
    """Return the labels, with the sweep's label if the job has it."""
    sweep = job.labels.get(SWEEP_LABEL)
    if sweep is None or labels.get(SWEEP_LABEL) == sweep:
        return labels
    if SWEEP_LABEL in labels:
        raise Conflict(f"the label {SWEEP_LABEL!r} marks the jobs of {sweep}: leave it unchanged")
    return {**labels, SWEEP_LABEL: sweep}


def ended(session: Session, project_id: UUID, job_id: UUID) -> Job:
    """Return a job that has ended, locked, to be retried.

    Raises:
        NotFound: the job does not exist in this project.
        Conflict: the job has not ended.
    """
    job = jobs.locked(session, project_id, job_id)
    _refuse_live(job, "only a job that has ended can be retried; resume a paused one")
    return job


def retry(
    session: Session,
    ended: Job,
    *,
    key_id: UUID,
    spec: JobSpec,
    total_steps: int | None,
    by: str,
    traceparent: str | None = None,
) -> Job:
    """Submit a new job that continues `ended`, which is locked: from its last checkpoint not known
    to be damaged, or from the beginning if it never had one.

    Args:
        spec: the spec of `ended`.

    Raises:
        NotFound: one of the spec's files was deleted.
        Conflict: `ended` began from another job's checkpoint, and no undamaged checkpoint is left.
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
        traceparent=traceparent,
    )


def delete(session: Session, project_id: UUID, job_id: UUID) -> None:
    """Remove an ended job with its log, its attempts and its checkpoints.

    The caller deletes its files, under `jobs.artifact_key`, after the commit: a crash between
    leaves files without a row, which the workers' cleanup finds.

    Raises:
        NotFound: the job does not exist in this project.
        Conflict: the job has not ended, or another job needs one of its checkpoints.
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
            "wait until that job ends, or delete it first if it trained an adapter"
        )
    removed = delete_rows(Job).where(Job.id == job_id, Job.status == job.status)
    session.execute(removed.execution_options(synchronize_session=False))
    session.expunge(job)


def _lock_followers(session: Session, job: Job) -> None:
    """Lock the jobs that refer to this one or to one of its checkpoints, before the rows that they
    may wait for: a second change of such a job in one transaction makes Postgres check its foreign
    keys."""
    own = select(Checkpoint.id).where(Checkpoint.job_id == job.id)
    followers = select(Job.id).where(or_(Job.retry_of == job.id, Job.start_checkpoint_id.in_(own)))
    session.execute(followers.order_by(Job.id).with_for_update(key_share=True)).all()


def _with(spec: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the spec with the changed fields that a spec has."""
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
    """Change a locked job.  The reason changes only together with the status."""
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
