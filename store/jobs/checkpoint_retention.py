"""Retention of a job's checkpoints."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from grpo.spec.lifecycle import Checkpoints
from store.errors import Conflict, NotFound
from store.ids import encode
from store.jobs import checkpoints, jobs
from store.states import Status
from store.tables import Checkpoint, Job, Project


@dataclass(frozen=True)
class Held:
    """The files of a job that must not be removed."""

    running_attempt: int | None
    keys: frozenset[str]
    """The checkpoints' folders in the artifact store."""


def remove_outdated(session: Session, job_id: UUID) -> list[str]:
    """Remove the rows of a job's outdated checkpoints, except those in use; return their keys.

    The caller deletes their files after the commit: a crash in between leaves files without a row,
    which the workers' cleanup finds, and never a row without files.
    """
    # Waits for a submission that refers to one of them, and then sees its job below.
    locked = select(Checkpoint).where(Checkpoint.job_id == job_id).order_by(Checkpoint.id)
    registered = session.scalars(locked.with_for_update()).all()
    job = session.get_one(Job, job_id)
    wanted = Checkpoints.model_validate(job.spec["checkpoints"])
    found = outdated(registered, keep_last=wanted.keep_last, keep_best=wanted.keep_best)
    in_use = checkpoints.users(session, job.project_id, [item.id for item in found])
    removed = [item for item in found if item.id not in in_use]
    session.execute(
        delete(Checkpoint)
        .where(Checkpoint.id.in_([item.id for item in removed]))
        .execution_options(synchronize_session=False)
    )
    return [item.key for item in removed]


def delete_one(session: Session, project_id: UUID, checkpoint_id: UUID) -> str:
    """Remove one checkpoint's row at its user's request; return its key.

    The caller deletes its files after the commit, as with `remove_outdated`.  The final checkpoint
    of a succeeded job is removed like any other.

    Raises:
        NotFound: the checkpoint does not exist in this project.
        Conflict: its own job resumes from it, or another job needs it.
    """
    found = checkpoints.get(session, project_id, checkpoint_id)
    job = jobs.locked(session, project_id, found.job_id)  # before its checkpoints, as a worker does
    query = select(Checkpoint).where(Checkpoint.id == checkpoint_id).with_for_update()
    checkpoint = session.scalar(query)
    if checkpoint is None:
        raise NotFound("checkpoint", encode("ckpt", checkpoint_id))
    last = checkpoints.resume_point(session, job)
    if not job.status.terminal and last is not None and last.id == checkpoint_id:
        raise Conflict(
            f"job {encode('job', job.id)} is {job.status} and resumes from this checkpoint: "
            "cancel the job first, or wait for its next checkpoint"
        )
    for user_id in checkpoints.users(session, project_id, [checkpoint_id]).values():
        raise Conflict(
            f"job {encode('job', user_id)} needs this checkpoint: "
            "wait until that job ends, or delete it first if it trained an adapter"
        )
    session.execute(
        delete(Checkpoint)
        .where(Checkpoint.id == checkpoint_id)
        .execution_options(synchronize_session=False)
    )
    session.expunge(checkpoint)
    return checkpoint.key


def held(session: Session, job_ids: Sequence[UUID]) -> dict[UUID, Held]:
    """Return the files that each of these jobs holds; a job that does not exist is left out.

    The running attempts are read first: an attempt that does not run then registers nothing later.
    """
    asked = select(Job.id, Job.status, Job.attempt).where(Job.id.in_(job_ids))
    jobs = session.execute(asked).all()
    listed = select(Checkpoint.job_id, Checkpoint.key).where(Checkpoint.job_id.in_(job_ids))
    keys = session.execute(listed).all()
    return {
        job_id: Held(
            running_attempt=attempt if status is Status.RUNNING else None,
            keys=frozenset(key for owner, key in keys if owner == job_id),
        )
        for job_id, status, attempt in jobs
    }


def known_since(session: Session) -> datetime | None:
    """Return the creation time of the first project: earlier jobs belong to another database."""
    return session.scalar(select(func.min(Project.created_at)))


def outdated(
    registered: Sequence[Checkpoint], *, keep_last: int, keep_best: bool
) -> list[Checkpoint]:
    """Return the checkpoints that are neither final, nor the `keep_last` newest, nor the best.

    Damaged checkpoints do not count toward the number kept.  If a worker died between the final
    checkpoint and its job's end, the next attempt has written it again: the newer one replaces it.
    """
    newest_first = sorted(registered, key=lambda item: (item.step, item.attempt), reverse=True)
    best = _best(registered) if keep_best else None
    found: list[Checkpoint] = []
    num_newer, final_again = 0, False
    for item in newest_first:
        old = num_newer >= keep_last and not item.final and item is not best
        if old or (item.final and final_again):
            found.append(item)
        num_newer += item.damaged_at is None
        final_again |= item.final and item.damaged_at is None
    return found


def _best(registered: Sequence[Checkpoint]) -> Checkpoint | None:
    """Return the earliest checkpoint with the greatest metric: only a strictly greater value is a
    new best."""
    measured = [
        (item.metric, -item.step, -item.attempt, item)
        for item in registered
        if item.metric is not None and item.damaged_at is None
    ]
    return max(measured, key=lambda one: one[:3])[3] if measured else None
