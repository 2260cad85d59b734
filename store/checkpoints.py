"""Registered checkpoints; `leases.register_checkpoint` makes them."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from store.errors import NotFound
from store.ids import encode
from store.tables import Checkpoint, Job


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
