"""Registered checkpoints; `leases.register_checkpoint` makes them."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from store.errors import NotFound
from store.ids import encode
from store.tables import Checkpoint, Job


@dataclass(frozen=True)
class CheckpointRef:
    """Where to resume from."""

    id: UUID
    step: int
    key: str
    """Its folder in the artifact store."""


def get(session: Session, project_id: UUID, checkpoint_id: UUID) -> Checkpoint:
    """One checkpoint of a project's job.

    Raises:
        NotFound: there is none, or it is another project's.
    """
    query = select(Checkpoint).join(Job, Job.id == Checkpoint.job_id)
    mine = query.where(Checkpoint.id == checkpoint_id, Job.project_id == project_id)
    checkpoint = session.scalar(mine)
    if checkpoint is None:
        raise NotFound("checkpoint", encode("ckpt", checkpoint_id))
    return checkpoint


def list_checkpoints(session: Session, job_id: UUID) -> list[Checkpoint]:
    """A job's checkpoints, in the order of their registration."""
    query = select(Checkpoint).where(Checkpoint.job_id == job_id)
    return list(session.scalars(query.order_by(Checkpoint.id)))


def last_usable(session: Session, job: Job) -> CheckpointRef | None:
    """Where a job's next attempt resumes: its last checkpoint, or as long as it has none the one
    that it was to begin from; those that are known to be damaged do not count."""
    own = Checkpoint.job_id == job.id
    query = (
        select(Checkpoint.id, Checkpoint.step, Checkpoint.key)
        .where(or_(own, Checkpoint.id == job.start_checkpoint_id), Checkpoint.damaged_at.is_(None))
        .order_by(own.desc(), Checkpoint.step.desc(), Checkpoint.attempt.desc())
        .limit(1)
    )
    row = session.execute(query).one_or_none()
    return None if row is None else CheckpointRef(*row)


def mark_damaged(session: Session, checkpoint_id: UUID) -> Checkpoint | None:
    """Note that a checkpoint's files are not what was stored; None: it has been removed."""
    marked = (
        update(Checkpoint)
        .where(Checkpoint.id == checkpoint_id)
        .values(damaged_at=func.coalesce(Checkpoint.damaged_at, func.now()))
        .returning(Checkpoint)
        .execution_options(populate_existing=True)
    )
    return session.scalar(marked)
