"""The queue: which jobs can be claimed, and in which order."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CTE,
    BindParameter,
    ColumnElement,
    Double,
    Select,
    SQLColumnExpression,
    Text,
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

# Any constant: claims are serialized.
CLAIM_LOCK = 7_215_064_002
# Enough for jobs that become due at the same moment to run by priority, few enough not to delay the
# claim that moves them.
TAKEN_IN_AT_ONCE = 100


def first(session: Session, *, queues: Sequence[str], num_gpus: int) -> Job | None:
    """Return the first job that a worker can run, locked; to be called after `take_in_due`."""
    return session.scalar(claimable(), {"queues": sorted(set(queues)), "num_gpus": num_gpus})


@cache  # building the statement takes longer than running it
def claimable() -> Select[Job]:
    """Select the first job for a worker's `queues` and `num_gpus`, locked.

    Within a project jobs are ordered by priority, then by age.  Among projects, the one with the
    smallest share of running jobs relative to its weight comes first, then the one whose last turn
    is longest ago, so that neither a priority nor a thousand jobs of one project delay another's.
    Projects at their limit of running jobs are left out.

    Only the best job of each lane that the worker can run is compared, by an index: a claim costs
    the same however many jobs are queued, and in however many other queues.
    """
    lane = lanes(bindparam("queues", type_=ARRAY(Text)), max_gpus=bindparam("num_gpus"))
    best = (
        select(Job)
        .where(of_lane(lane))
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
        .where(or_(Project.max_running.is_(None), running < Project.max_running))
        .ext(distinct_on(best.c.project_id))
        .order_by(best.c.project_id, best.c.priority.desc(), best.c.queued_at, best.c.id)
        .subquery()
    )
    job = aliased(Job, of_project)
    turn = of_project.c.turn.asc().nulls_first()
    return select(job).order_by(of_project.c.share, turn, job.queued_at, job.id).limit(1)


def note_turn(session: Session, project_id: UUID) -> None:
    """Record a claim for a project, so that the other projects come before its next job."""
    turn = insert(ProjectTurn).values(project_id=project_id, claimed_at=func.clock_timestamp())
    session.execute(
        turn.on_conflict_do_update(
            index_elements=[ProjectTurn.project_id], set_={"claimed_at": turn.excluded.claimed_at}
        )
    )


def share(
    running: ColumnElement[int], more: ColumnElement[int] | int, weight: SQLColumnExpression[int]
) -> ColumnElement[float]:
    """Return a project's running jobs plus `more`, divided by its weight."""
    return cast(running + more, Double) / weight


def last_turn() -> ColumnElement[datetime]:
    """Return when a job of `Project` was last claimed; null: never."""
    turn = select(ProjectTurn.claimed_at).where(ProjectTurn.project_id == Project.id)
    return turn.correlate(Project).scalar_subquery()


def take_in_due(session: Session) -> None:
    """Move deferred jobs that are due into the ordinary lanes, earliest first.

    Deferred jobs are kept in lanes of their own, so that no claim must skip them.  A claim moves a
    bounded number, and the next one continues.
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
    """Whether a job is queued and due, regardless of which worker could run it."""
    lined_up = exists().where(in_lane())
    due_first = select(due_at()).where(waits(), Job.deferred).order_by(due_at()).limit(1)
    return select(or_(lined_up, func.coalesce(due_first.scalar_subquery() <= func.now(), false())))


def waits() -> ColumnElement[bool]:
    """Whether a job is in the queue.

    The status is part of the statement, not a parameter: for a prepared statement Postgres would
    not know that the partial index applies.
    """
    queued = bindparam(None, Status.QUEUED, type_=Job.status.type, literal_execute=True)
    return and_(Job.status == queued, Job.wanted == Wanted.RUN)


def in_lane() -> ColumnElement[bool]:
    """Whether a job is in a lane: queued, and not deferred."""
    return and_(waits(), ~Job.deferred)


def runs() -> ColumnElement[bool]:
    """Whether a job is running; the status is part of the statement as in `waits`."""
    return Job.status == bindparam(
        None, Status.RUNNING, type_=Job.status.type, literal_execute=True
    )


def lanes(
    queues: BindParameter[Sequence[str]], *, max_gpus: BindParameter[int] | None = None
) -> CTE:
    """Select the lanes, (queue, GPUs, project), of these queues that have jobs.

    Each is found from the previous one by one index lookup, so that a lane costs the same however
    many jobs are in it, and other queues and projects cost nothing.
    """
    served = func.unnest(queues).table_valued("queue").render_derived()
    columns = (Job.queue, Job.gpus, Job.project_id)
    some = select(*columns).where(in_lane()).order_by(Job.gpus, Job.project_id).limit(1)
    if max_gpus is not None:
        some = some.where(Job.gpus <= max_gpus)
    of_queue = some.where(Job.queue == served.c.queue).lateral("first")
    lane = select(of_queue).select_from(served).join(of_queue, true())
    lane = lane.cte("lane", recursive=True)
    after = tuple_(Job.gpus, Job.project_id) > tuple_(lane.c.gpus, lane.c.project_id)
    following = some.where(Job.queue == lane.c.queue, after).lateral("following")
    return lane.union_all(select(following).select_from(lane).join(following, true()))


def of_lane(lane: CTE) -> ColumnElement[bool]:
    """Whether a job is in a lane of `lanes`."""
    same_machine = and_(Job.queue == lane.c.queue, Job.gpus == lane.c.gpus)
    return and_(in_lane(), same_machine, Job.project_id == lane.c.project_id)


def due_at() -> ColumnElement[datetime]:
    """Return the time from which a job is due, by its user's `not_before` and a failure's
    `retry_at`; null: neither is set."""
    return func.greatest(Job.not_before, Job.retry_at)


def num_running() -> ColumnElement[int]:
    """Return the number of running jobs of `Project`."""
    running = select(func.count()).where(runs(), Job.project_id == Project.id)
    return running.correlate(Project).scalar_subquery()
