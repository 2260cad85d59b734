"""Retention of samples: an old job's log keeps some samples and all other records."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from store.states import TERMINAL
from store.tables import Checkpoint, Job, Record

# Any constant: one process at a time is enough.
THINNING_LOCK = 7_215_064_004
STEPS_A_CALL = 500


@dataclass(frozen=True)
class Thinned:
    """Result of one call."""

    job_id: UUID
    removed: int
    """Number of removed samples."""
    done: bool
    """Whether the job needs no further call."""


def thin_next(session: Session, *, keep_days: float, keep_steps: int) -> Thinned | None:
    """Remove samples of the job that ended first of those that ended `keep_days` ago or earlier.

    The samples of `kept_steps` stay.  A call removes the samples of a bounded number of steps, so
    that the job's row is locked only briefly, and leaves the rest to the next call.  None: no such
    job, or another process is thinning.  A job that an unfinished job continues is left until that
    job ends.
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
    """Return the sampled steps, given in order, whose samples stay: the last; those with an
    evaluation; and of the range from the first to the last, cut into `most` equal parts, the first
    sampled step of each part.

    The result stays the same after some of the other steps have been removed.
    """
    if not sampled:
        return set()
    first, last = sampled[0], sampled[-1]
    of_part: dict[int, int] = {}
    for step in sampled:
        of_part.setdefault((step - first) * most // (last - first + 1), step)
    return {*of_part.values(), *(set(sampled) & set(evaluated)), last}


def _is_needed() -> ColumnElement[bool]:
    """Whether an unfinished job retries this one, or begins from one of its checkpoints."""
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
