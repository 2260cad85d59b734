"""Registered checkpoints; `leases.register_checkpoint` makes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from store.errors import NotFound
from store.ids import encode
from store.states import TERMINAL
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


def hold(session: Session, project_id: UUID, checkpoint_id: UUID) -> Checkpoint:
    """As `get`, with the checkpoint locked against deletion until the transaction ends.

    Raises:
        NotFound: there is none, or it is another project's.
    """
    checkpoint = get(session, project_id, checkpoint_id)
    if not _still_there(session, checkpoint.id):
        raise NotFound("checkpoint", encode("ckpt", checkpoint_id))
    return checkpoint


def users(session: Session, project_id: UUID, ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Those of a project's checkpoints that another job needs, each with one such job: one that
    begins from it and has not ended, or one whose adapter is nothing without it."""
    if not ids:
        return {}
    by_name = {encode("ckpt", id): id for id in ids}
    source, adapter = Job.spec["model"]["source"].astext, Job.spec["model"]["lora"].astext
    query = select(Job.id, Job.start_checkpoint_id, source).where(
        Job.project_id == project_id,
        or_(Job.start_checkpoint_id.in_(ids), source.in_(by_name)),
        or_(Job.status.not_in(TERMINAL), adapter.is_not(None)),
    )
    return {
        checkpoint_id: job_id
        for job_id, start, model in session.execute(query)
        for checkpoint_id in set(ids) & {start, by_name.get(model)}
    }


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


def held_start(session: Session, ended: Job) -> CheckpointRef | None:
    """Where a retry of a job begins, locked against deletion until the transaction ends: as
    `last_usable`, and where that is nothing, of the job that this one is a retry of."""
    job: Job | None = ended
    while job is not None:
        found = last_usable(session, job)
        if found is None:
            job = None if job.retry_of is None else session.get(Job, job.retry_of)
        elif _still_there(session, found.id):
            return found
    return None


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


def _still_there(session: Session, checkpoint_id: UUID) -> bool:
    """Lock a checkpoint against deletion, after waiting for one that goes on."""
    query = select(Checkpoint.id).where(Checkpoint.id == checkpoint_id)
    return session.scalar(query.with_for_update(read=True, key_share=True)) is not None
