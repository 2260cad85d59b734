"""The queue: who may be claimed, in which order, and why a job still waits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    and_,
    bindparam,
    exists,
    false,
    func,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.orm import Session, aliased

from store.states import Status, Wanted
from store.tables import Job, Project, Record, Worker

# Any constant: claims come one after another.
CLAIM_LOCK = 7_215_064_002
# Enough that jobs which become due at the same moment keep to their priorities, few enough that
# the claim that meets them is not felt.
TAKEN_IN_AT_ONCE = 100


@dataclass(frozen=True)
class Waiting:
    """Where a queued job stands."""

    position: int
    """From 1, in the order of `claimable`, among the jobs of its queue that could run now."""
    waiting_for: str
    """What must happen for it to be claimed."""
    since: datetime
    """From when on it could have been claimed, or waits for its time to come."""


def claimable(*, queues: Sequence[str], num_gpus: int) -> Select[Job]:
    """The first job that a worker can run, locked; `take_in_due` comes before it.

    In the order of priority, then of how many jobs its project runs already, then of age; none of
    a project that runs as many as it may.  Within a lane this is an index's order: the best of
    each are compared, so a claim costs the same however many jobs wait in it.
    """
    lane = _lanes()
    best = (
        select(Job)
        .where(Job.project_id == lane.c.project_id, Job.deferred == lane.c.deferred)
        .where(Job.queue == lane.c.queue, Job.gpus == lane.c.gpus)
        .where(waits())
        .order_by(Job.priority.desc(), Job.queued_at, Job.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .lateral("best")
    )
    job = aliased(Job, best)
    num_running = _num_running()
    return (
        select(job)
        .select_from(lane)
        .join(Project, Project.id == lane.c.project_id)
        .join(best, true())
        .where(~lane.c.deferred, lane.c.queue.in_(queues), lane.c.gpus <= num_gpus)
        .where(or_(Project.max_running.is_(None), num_running < Project.max_running))
        .order_by(job.priority.desc(), num_running, job.queued_at, job.id)
        .limit(1)
    )


def take_in_due(session: Session) -> None:
    """Line up the jobs whose time has come, the first ones first.

    Those that still wait for their time are kept in lanes of their own, so that no claim must pass
    over them.  A claim lines up a bounded number, and the next one goes on.
    """
    due = (
        select(Job.id)
        .where(waits(), Job.deferred, _due_at() <= func.now())
        .order_by(_due_at())
        .limit(TAKEN_IN_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    taken = update(Job).where(Job.id.in_(due)).values(deferred=False)
    session.execute(taken.execution_options(synchronize_session=False))


def any_claimable() -> Select[bool]:
    """Whether a job waits that no time holds back, whoever could run it."""
    lane = _lanes()
    lined_up = exists().where(~lane.c.deferred)
    due_first = select(_due_at()).where(waits(), Job.deferred).order_by(_due_at()).limit(1)
    return select(or_(lined_up, func.coalesce(due_first.scalar_subquery() <= func.now(), false())))


def waits() -> ColumnElement[bool]:
    """Whether a job is in the queue.

    The status is part of the statement, not a parameter: of one that is prepared, Postgres would
    not know that the partial index has its rows.
    """
    queued = bindparam(None, Status.QUEUED, type_=Job.status.type, literal_execute=True)
    return and_(Job.status == queued, Job.wanted == Wanted.RUN)


def waiting(session: Session, job: Job) -> Waiting:
    """Why a queued job still waits."""
    now = session.scalars(select(func.now())).one()
    begun = [_queued_since(session, job), job.not_before, job.retry_at]
    position = _position(session, job)
    return Waiting(
        position=position,
        waiting_for=_waiting_for(session, job, now, position),
        since=max(at for at in begun if at is not None and at <= now),
    )


def _lanes() -> CTE:
    """What of (project, deferred or not, queue, GPUs) queued jobs there are.

    Each is found from the one before by a look at the index, so that a lane costs the same however
    many jobs wait in it, and a project in which none waits costs nothing.
    """
    columns = (Job.project_id, Job.deferred, Job.queue, Job.gpus)
    first = select(*columns).where(waits()).order_by(*columns).limit(1)
    lane = first.cte("lane", recursive=True)
    after = tuple_(*columns) > tuple_(*lane.c)
    following = select(*columns).where(waits(), after).order_by(*columns).limit(1).lateral("next")
    return lane.union_all(select(*following.c).select_from(lane).join(following, true()))


def _due_at() -> ColumnElement[datetime]:
    """Until when its user's `not_before` or a failure's `retry_at` holds a job back; null: neither
    ever did."""
    return func.greatest(Job.not_before, Job.retry_at)


def _waiting_for(session: Session, job: Job, now: datetime, position: int) -> str:
    if job.not_before is not None and job.not_before > now:
        return f"its start time, {_timestamp(job.not_before)}"
    if job.retry_at is not None and job.retry_at > now:
        after = f"failure {job.failures} of {job.spec['resources']['max_failures']}"
        return f"its next attempt at {_timestamp(job.retry_at)}, after {after}"
    return _waiting_for_room(session, job) or _waiting_for_worker(session, job, position)


def _waiting_for_room(session: Session, job: Job) -> str | None:
    """None: its project may run one more."""
    query = select(Project.max_running, _num_running()).where(Project.id == job.project_id)
    max_running, num_running = session.execute(query).one()
    if max_running is None or num_running < max_running:
        return None
    return f"a job of its project to end: {num_running} run, and {max_running} may at a time"


def _waiting_for_worker(session: Session, job: Job, position: int) -> str:
    serving = select(Worker).where(Worker.gone_at.is_(None), Worker.draining_at.is_(None))
    workers = session.scalars(serving.where(Worker.queues.contains([job.queue]))).all()
    if not workers:
        return f"a worker for queue {job.queue!r}"
    fitting = [worker for worker in workers if worker.num_gpus >= job.gpus]
    if not fitting:
        gpus = "1 GPU" if job.gpus == 1 else f"{job.gpus} GPUs"
        return f"a worker with {gpus} for queue {job.queue!r}"
    busy = select(func.count()).select_from(Job).where(Job.status == Status.RUNNING)
    num_busy = session.scalar(busy.where(Job.worker_id.in_([w.id for w in fitting]))) or 0
    if num_busy + position > sum(worker.slots for worker in fitting):
        return "other jobs to finish"
    return "a worker to take it, in a moment"


def _position(session: Session, job: Job) -> int:
    project = select(Project.id, Project.max_running, _num_running().label("num")).subquery()
    own = session.scalar(select(project.c.num).where(project.c.id == job.project_id))
    num_running, most = project.c.num, project.c.max_running
    may_run = or_(most.is_(None), num_running < most, Job.project_id == job.project_id)
    ahead = tuple_(-Job.priority, num_running, Job.queued_at, Job.id) < tuple_(
        -job.priority, own, job.queued_at, job.id
    )
    due = or_(~Job.deferred, _due_at() <= func.now())
    query = (
        select(func.count())
        .select_from(Job)
        .join(project, project.c.id == Job.project_id)
        .where(waits(), due, may_run, Job.queue == job.queue, Job.id != job.id, ahead)
    )
    return 1 + (session.scalar(query) or 0)


def _queued_since(session: Session, job: Job) -> datetime:
    """When it last came into the queue."""
    said = Record.payload["status"].astext == Status.QUEUED
    query = select(func.max(Record.at)).where(Record.job_id == job.id, Record.kind == "status")
    return session.scalars(query.where(said)).one()


def _num_running() -> ColumnElement[int]:
    """How many jobs `Project` runs."""
    running = select(func.count()).where(Job.status == Status.RUNNING, Job.project_id == Project.id)
    return running.correlate(Project).scalar_subquery()


def _timestamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
