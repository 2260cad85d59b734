"""Old logs: of a job that ended long ago some samples stay, and everything else of its log."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from store.states import TERMINAL
from store.tables import Checkpoint, Job, Record

# Any constant: one process that thins is enough.
THINNING_LOCK = 7_215_064_004
STEPS_A_CALL = 500


@dataclass(frozen=True)
class Thinned:
    """What one call has done."""

    job_id: UUID
    removed: int
    """Samples."""
    done: bool
    """Whether it was the last of this job."""


def thin_next(session: Session, *, keep_days: float, keep_steps: int) -> Thinned | None:
    """Remove samples of the job that ended first of those that ended `keep_days` ago or earlier.

    `kept_steps` says of which steps they stay.  A call removes those of a bounded number of steps:
    the job's row is locked no longer, and what is left is the next call's.  None: there is no such
    job, or another process is at it.  A job from which one that has not ended goes on is left
    until that has.
    """
    if not session.scalar(select(func.pg_try_advisory_xact_lock(THINNING_LOCK))):
        return None
    old = Job.finished_at < func.now() - timedelta(days=keep_days)
    query = select(Job.id).where(old, Job.thinned_at.is_(None), ~_is_needed())
    first = query.order_by(Job.finished_at).limit(1).with_for_update(skip_locked=True)
    job_id = session.scalar(first)
    if job_id is None:
        return None
    sampled = _steps(session, job_id, "sample")
    kept = kept_steps(sampled, _steps(session, job_id, "eval"), most=keep_steps)
    dropped = [step for step in sampled if step not in kept]
    removed = _remove(session, job_id, dropped[:STEPS_A_CALL])
    done = len(dropped) <= STEPS_A_CALL
    if done:
        _mark(session, job_id)
    return Thinned(job_id, removed, done)


def kept_steps(sampled: Sequence[int], evaluated: Collection[int], *, most: int) -> set[int]:
    """Of these sampled steps, in order, the ones whose samples stay: the last; those of an
    evaluation; and with the steps from the first to the last cut into `most` equal parts, each
    part's first one.

    Asked again when some of the others have gone, it says the same.
    """
    if not sampled:
        return set()
    first, last = sampled[0], sampled[-1]
    of_part: dict[int, int] = {}
    for step in sampled:
        of_part.setdefault((step - first) * most // (last - first + 1), step)
    return {*of_part.values(), *(set(sampled) & set(evaluated)), last}


def _is_needed() -> ColumnElement[bool]:
    """Whether a job that has not ended takes this one up, or begins from one of its checkpoints."""
    user = aliased(Job)
    own = select(Checkpoint.id).where(Checkpoint.job_id == Job.id)
    begins_here = or_(user.retry_of == Job.id, user.start_checkpoint_id.in_(own))
    return exists().where(user.status.not_in(TERMINAL), begins_here)


def _steps(session: Session, job_id: UUID, kind: str) -> list[int]:
    of_kind = select(Record.step).where(Record.job_id == job_id, Record.kind == kind)
    steps = session.scalars(of_kind.where(Record.step.is_not(None)).distinct())
    return sorted(step for step in steps if step is not None)


def _remove(session: Session, job_id: UUID, steps: Sequence[int]) -> int:
    of_steps = Record.kind == "sample", Record.step.in_(steps)
    samples = delete(Record).where(Record.job_id == job_id, *of_steps).returning(Record.seq)
    removed = session.scalars(samples.execution_options(synchronize_session=False))
    return len(removed.all())


def _mark(session: Session, job_id: UUID) -> None:
    marked = (
        update(Job)
        .where(Job.id == job_id, Job.status.in_(TERMINAL), Job.thinned_at.is_(None))
        .values(thinned_at=func.now())
    )
    session.execute(marked.execution_options(synchronize_session=False))
