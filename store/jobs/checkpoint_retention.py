"""Which of a job's checkpoints are kept."""

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
    """What of a job's files is not to be removed."""

    running_attempt: int | None
    keys: frozenset[str]
    """The checkpoints' folders in the artifact store."""


def remove_outdated(session: Session, job_id: UUID) -> list[str]:
    """Take a job's outdated checkpoints off the list, but those in use: their keys.

    Their files are the caller's to delete after the commit: a crash between leaves files without
    a row, which the workers' clean-up finds, and never a row without files.
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
    """Take one checkpoint off its job's list, as its user asks: its key.

    Its files are the caller's to delete after the commit, as with `remove_outdated`.  The final one
    of a job that has succeeded goes as any other: who names it means it.

    Raises:
        NotFound: there is none in this project.
        Conflict: its own job goes on from it, or another job needs it.
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
            f"job {encode('job', job.id)} is {job.status} and goes on from this checkpoint: "
            "cancel the job first, or wait for its next one"
        )
    for user_id in checkpoints.users(session, project_id, [checkpoint_id]).values():
        raise Conflict(
            f"job {encode('job', user_id)} needs this checkpoint: "
            "wait for that job's end, or if it trained an adapter delete it first"
        )
    session.execute(
        delete(Checkpoint)
        .where(Checkpoint.id == checkpoint_id)
        .execution_options(synchronize_session=False)
    )
    session.expunge(checkpoint)
    return checkpoint.key


def held(session: Session, job_ids: Sequence[UUID]) -> dict[UUID, Held]:
    """What these jobs hold; one that is not there is left out.

    Who runs is asked first: an attempt that does not run then can register nothing later.
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
    """When this database's first project was made: jobs from before it are another's."""
    return session.scalar(select(func.min(Project.created_at)))


def outdated(
    registered: Sequence[Checkpoint], *, keep_last: int, keep_best: bool
) -> list[Checkpoint]:
    """Those that are neither final, nor among the `keep_last` newest, nor the best.

    Damaged ones count for nothing: as many usable ones are kept as if they were not there.  Where
    a worker died between the final one and its job's end, the next attempt has made it once more:
    the newer one takes its place.
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
    """The earliest with the greatest metric: only what is strictly greater is a new best."""
    measured = [
        (item.metric, -item.step, -item.attempt, item)
        for item in registered
        if item.metric is not None and item.damaged_at is None
    ]
    return max(measured, key=lambda one: one[:3])[3] if measured else None
