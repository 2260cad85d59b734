"""Registered checkpoints; `leases.register_checkpoint` creates them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select, true, update
from sqlalchemy.orm import Session

from store.errors import Conflict, NotFound
from store.ids import encode
from store.states import TERMINAL, Status
from store.tables import MODEL_SOURCE, Attempt, Checkpoint, Job


@dataclass(frozen=True)
class CheckpointRef:
    """A checkpoint to resume from."""

    id: UUID
    step: int
    key: str
    """Folder in the artifact store."""


def get(session: Session, project_id: UUID, checkpoint_id: UUID) -> Checkpoint:
    """Return one checkpoint of a project's job.

    Raises:
        NotFound: the checkpoint does not exist, or is another project's.
    """
    query = select(Checkpoint).join(Job, Job.id == Checkpoint.job_id)
    mine = query.where(Checkpoint.id == checkpoint_id, Job.project_id == project_id)
    checkpoint = session.scalar(mine)
    if checkpoint is None:
        raise NotFound("checkpoint", encode("ckpt", checkpoint_id))
    return checkpoint


def hold(session: Session, project_id: UUID, checkpoint_id: UUID) -> Checkpoint:
    """Return a checkpoint, locked against deletion until the transaction ends.

    Raises:
        NotFound: the checkpoint does not exist, or is another project's.
    """
    checkpoint = get(session, project_id, checkpoint_id)
    if not _still_there(session, checkpoint.id):
        raise NotFound("checkpoint", encode("ckpt", checkpoint_id))
    return checkpoint


def users(session: Session, project_id: UUID, ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Map each of these checkpoints that another job needs to one such job: an unfinished job that
    starts from it, or a job whose adapter depends on it."""
    if not ids:
        return {}
    by_name = {encode("ckpt", id): id for id in ids}
    adapter = Job.spec["model"]["lora"].astext
    query = select(Job.id, Job.start_checkpoint_id, MODEL_SOURCE).where(
        Job.project_id == project_id,
        or_(Job.start_checkpoint_id.in_(ids), MODEL_SOURCE.in_(by_name)),
        or_(Job.status.not_in(TERMINAL), adapter.is_not(None)),
    )
    return {
        checkpoint_id: job_id
        for job_id, start, model in session.execute(query)
        for checkpoint_id in set(ids) & {start, by_name.get(model)}
    }


def list_checkpoints(session: Session, job_id: UUID) -> list[Checkpoint]:
    """Return a job's checkpoints in the order of their registration."""
    query = select(Checkpoint).where(Checkpoint.job_id == job_id)
    # An id's time is from the worker's clock.
    return list(session.scalars(query.order_by(Checkpoint.attempt, Checkpoint.step)))


def newest_final(session: Session, project_id: UUID, *, limit: int) -> list[Checkpoint]:
    """Return the undamaged final checkpoints of a project's newest succeeded jobs, newest first."""
    newest = (
        select(Job.id)
        .where(Job.project_id == project_id, Job.status == Status.SUCCEEDED)
        .order_by(Job.id.desc())
        .limit(limit)
    )
    query = (
        select(Checkpoint)
        .where(Checkpoint.job_id.in_(newest), Checkpoint.final, Checkpoint.damaged_at.is_(None))
        .order_by(Checkpoint.created_at.desc(), Checkpoint.id.desc())
        .limit(limit)
    )
    return list(session.scalars(query))


def at_step(session: Session, job_id: UUID, attempt: int, step: int) -> Checkpoint | None:
    """Return the checkpoint that an attempt registered at a step, if any."""
    query = select(Checkpoint).where(Checkpoint.job_id == job_id, Checkpoint.attempt == attempt)
    return session.scalar(query.where(Checkpoint.step == step))


def resume_point(session: Session, job: Job) -> CheckpointRef | None:
    """Return the checkpoint from which a job's next attempt resumes: its last undamaged one, or
    else its start checkpoint.

    A start checkpoint is returned even if damaged: the attempt then fails and reports the damage
    (`leases.step_over`), whereas an attempt at step 0 would be a run that the user did not request.
    """
    own = _last_undamaged(session, Checkpoint.job_id == job.id)
    return own or _last(session, Checkpoint.id == job.start_checkpoint_id)


def held_start(session: Session, ended: Job) -> CheckpointRef | None:
    """Return the checkpoint from which a retry of a job begins, locked against deletion until the
    transaction ends: the job's last one not known to be damaged, or its start checkpoint, or the
    one for the job of which it is a retry.

    Raises:
        Conflict: the job began from another job's checkpoint, and no undamaged checkpoint is left.
    """
    job: Job | None = ended
    while job is not None:
        found = _last_undamaged(session, Checkpoint.job_id == job.id) or _last_undamaged(
            session, Checkpoint.id == job.start_checkpoint_id
        )
        if found is None:
            job = None if job.retry_of is None else session.get(Job, job.retry_of)
        elif _still_there(session, found.id):
            return found
    if ended.start_checkpoint_id is not None:
        raise Conflict(
            f"job {encode('job', ended.id)} began from a checkpoint that is damaged, and has no "
            "earlier one: submit its spec as a new job to train from the beginning"
        )
    return None


def note_evaluations(session: Session, attempt: Attempt, values: Mapping[int, float]) -> None:
    """Set the metric of already registered checkpoints: the attempt's own, and the one that it
    resumed from, which the previous attempt did not evaluate.

    Args:
        values: step -> the value of the spec's evaluation.metric.
    """
    for step, metric in values.items():
        own = Checkpoint.attempt == attempt.number
        evaluated = own if step != attempt.resumed_from_step else true()
        noted = update(Checkpoint).where(
            Checkpoint.job_id == attempt.job_id, Checkpoint.step == step, evaluated
        )
        session.execute(noted.values(metric=metric).execution_options(synchronize_session=False))


def mark_damaged(session: Session, checkpoint_id: UUID) -> Checkpoint | None:
    """Record that a checkpoint's files differ from what was stored; None: it has been removed."""
    marked = (
        update(Checkpoint)
        .where(Checkpoint.id == checkpoint_id)
        .values(damaged_at=func.coalesce(Checkpoint.damaged_at, func.now()))
        .returning(Checkpoint)
        .execution_options(populate_existing=True)
    )
    return session.scalar(marked)


def _last_undamaged(session: Session, among: ColumnElement[bool]) -> CheckpointRef | None:
    return _last(session, and_(among, Checkpoint.damaged_at.is_(None)))


def _last(session: Session, among: ColumnElement[bool]) -> CheckpointRef | None:
    query = select(Checkpoint.id, Checkpoint.step, Checkpoint.key).where(among)
    last = query.order_by(Checkpoint.step.desc(), Checkpoint.attempt.desc()).limit(1)
    row = session.execute(last).one_or_none()
    return None if row is None else CheckpointRef(*row)


def _still_there(session: Session, checkpoint_id: UUID) -> bool:
    """Lock a checkpoint against deletion, after waiting for a deletion in progress."""
    query = select(Checkpoint.id).where(Checkpoint.id == checkpoint_id)
    return session.scalar(query.with_for_update(read=True, key_share=True)) is not None
