"""The queue: who may be claimed, and in which order."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Double,
    Select,
    SQLColumnExpression,
    and_,
    bindparam,
    cast,
    exists,
    false,
    func,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Session, aliased

from store.states import Status, Wanted
from store.tables import Job, Project, ProjectTurn

# Any constant: claims come one after another.
CLAIM_LOCK = 7_215_064_002
# Enough that jobs which become due at the same moment keep to their priorities, few enough that
# the claim that meets them is not felt.
TAKEN_IN_AT_ONCE = 100


def claimable(*, queues: Sequence[str], num_gpus: int) -> Select[Job]:
    """The first job that a worker can run, locked; `take_in_due` comes before it.

    Of each project the first by priority, then by age; of the projects the one whose share of
    running jobs is smallest for its weight, then the one whose last turn is longest ago, so that
    neither a priority nor a thousand jobs of one project hold up another's.  None of a project
    that runs as many as it may.  Within a lane this is an index's order: the best of each are
    compared, so a claim costs the same however many jobs wait in it.
    """
    lane = lanes()
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
    running = num_running()
    of_project = (
        select(best, share(running, 1, Project.weight).label("share"), last_turn().label("turn"))
        .select_from(lane)
        .join(Project, Project.id == lane.c.project_id)
        .join(best, true())
        .where(~lane.c.deferred, lane.c.queue.in_(queues), lane.c.gpus <= num_gpus)
        .where(or_(Project.max_running.is_(None), running < Project.max_running))
        .ext(distinct_on(best.c.project_id))
        .order_by(best.c.project_id, best.c.priority.desc(), best.c.queued_at, best.c.id)
        .subquery()
    )
    job = aliased(Job, of_project)
    turn = of_project.c.turn.asc().nulls_first()
    return select(job).order_by(of_project.c.share, turn, job.queued_at, job.id).limit(1)


def note_turn(session: Session, project_id: UUID) -> None:
    """A project's job has been claimed: the others come before its next one."""
    turn = insert(ProjectTurn).values(project_id=project_id, claimed_at=func.clock_timestamp())
    session.execute(
        turn.on_conflict_do_update(
            index_elements=[ProjectTurn.project_id], set_={"claimed_at": turn.excluded.claimed_at}
        )
    )


def share(
    running: ColumnElement[int], more: ColumnElement[int] | int, weight: SQLColumnExpression[int]
) -> ColumnElement[float]:
    """A project's running jobs with so many more, for its weight."""
    return cast(running + more, Double) / weight


def last_turn() -> ColumnElement[datetime]:
    """When a job of `Project` was last claimed; null: never."""
    turn = select(ProjectTurn.claimed_at).where(ProjectTurn.project_id == Project.id)
    return turn.correlate(Project).scalar_subquery()


def take_in_due(session: Session) -> None:
    """Line up the jobs whose time has come, the first ones first.

    Those that still wait for their time are kept in lanes of their own, so that no claim must pass
    over them.  A claim lines up a bounded number, and the next one goes on.
    """
    due = (
        select(Job.id)
        .where(waits(), Job.deferred, due_at() <= func.now())
        .order_by(due_at())
        .limit(TAKEN_IN_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    taken = update(Job).where(Job.id.in_(due)).values(deferred=False)
    session.execute(taken.execution_options(synchronize_session=False))


def any_claimable() -> Select[bool]:
    """Whether a job waits that no time holds back, whoever could run it."""
    lane = lanes()
    lined_up = exists().where(~lane.c.deferred)
    due_first = select(due_at()).where(waits(), Job.deferred).order_by(due_at()).limit(1)
    return select(or_(lined_up, func.coalesce(due_first.scalar_subquery() <= func.now(), false())))


def waits() -> ColumnElement[bool]:
    """Whether a job is in the queue.

    The status is part of the statement, not a parameter: of one that is prepared, Postgres would
    not know that the partial index has its rows.
    """
    queued = bindparam(None, Status.QUEUED, type_=Job.status.type, literal_execute=True)
    return and_(Job.status == queued, Job.wanted == Wanted.RUN)


def runs() -> ColumnElement[bool]:
    """Whether a worker has a job; part of the statement as in `waits`."""
    return Job.status == bindparam(
        None, Status.RUNNING, type_=Job.status.type, literal_execute=True
    )


def lanes() -> CTE:
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


def due_at() -> ColumnElement[datetime]:
    """Until when its user's `not_before` or a failure's `retry_at` holds a job back; null: neither
    ever did."""
    return func.greatest(Job.not_before, Job.retry_at)


def num_running() -> ColumnElement[int]:
    """How many jobs `Project` runs."""
    running = select(func.count()).where(runs(), Job.project_id == Project.id)
    return running.correlate(Project).scalar_subquery()
