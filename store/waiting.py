"""Why queued jobs still wait, and at which place in the queue: for a page of jobs at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CTE,
    BindParameter,
    Select,
    Subquery,
    Text,
    Uuid,
    bindparam,
    false,
    func,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.orm import Session

from store import queue
from store.jobs import StatusChange
from store.states import Status
from store.tables import Job, Project, Worker

PLACES = 1000
"""So many are counted: a look at the queue costs the same however many jobs wait in it."""


@dataclass(frozen=True)
class Waiting:
    """Where a queued job stands."""

    position: int | None
    """From 1, in the order of `queue.claimable`, among the jobs of its queue that could run now;
    None: behind the first `PLACES`."""
    waiting_for: str
    """What must happen for it to be claimed."""
    since: datetime
    """From when on it could have been claimed, or waits for its time to come."""


@dataclass(frozen=True)
class _Room:
    """What of its project runs, now."""

    now: datetime
    max_running: int | None
    num_running: int


@dataclass(frozen=True)
class _Fleet:
    """The workers that take jobs, and how many jobs each runs."""

    workers: Sequence[Worker]
    busy: Mapping[UUID, int]


def of_jobs(
    session: Session, jobs: Sequence[Job], timelines: Mapping[UUID, Sequence[StatusChange]]
) -> dict[UUID, Waiting]:
    """Why each of these queued jobs, which are of one project, still waits."""
    if not jobs:
        return {}
    room = _room(session, jobs[0].project_id)
    fleet = _fleet(session)
    positions = _positions(session, jobs)
    return {
        job.id: Waiting(
            position=positions.get(job.id),
            waiting_for=_waiting_for(job, room, fleet, positions.get(job.id)),
            since=_since(job, timelines[job.id], room.now),
        )
        for job in jobs
    }


def _since(job: Job, timeline: Sequence[StatusChange], now: datetime) -> datetime:
    queued_at = max(change.at for change in timeline if change.status is Status.QUEUED)
    begun = [queued_at, job.not_before, job.retry_at]
    return max(at for at in begun if at is not None and at <= now)


def _waiting_for(job: Job, room: _Room, fleet: _Fleet, position: int | None) -> str:
    if job.not_before is not None and job.not_before > room.now:
        return f"its start time, {_timestamp(job.not_before)}"
    if job.retry_at is not None and job.retry_at > room.now:
        after = f"failure {job.failures} of {job.spec['resources']['max_failures']}"
        return f"its next attempt at {_timestamp(job.retry_at)}, after {after}"
    if room.max_running is not None and room.num_running >= room.max_running:
        running = f"{room.num_running} run, and {room.max_running} may at a time"
        return f"a job of its project to end: {running}"
    return _waiting_for_worker(job, fleet, position)


def _waiting_for_worker(job: Job, fleet: _Fleet, position: int | None) -> str:
    serving = [worker for worker in fleet.workers if job.queue in worker.queues]
    if not serving:
        return f"a worker for queue {job.queue!r}"
    fitting = [worker for worker in serving if worker.num_gpus >= job.gpus]
    if not fitting:
        gpus = "1 GPU" if job.gpus == 1 else f"{job.gpus} GPUs"
        return f"a worker with {gpus} for queue {job.queue!r}"
    num_busy = sum(fleet.busy.get(worker.id, 0) for worker in fitting)
    if position is None or num_busy + position > sum(worker.slots for worker in fitting):
        return "other jobs to finish"
    return "a worker to take it, in a moment"


def _room(session: Session, project_id: UUID) -> _Room:
    query = select(func.now(), Project.max_running, queue.num_running())
    return _Room(*session.execute(query.where(Project.id == project_id)).one())


def _fleet(session: Session) -> _Fleet:
    serving = select(Worker).where(Worker.gone_at.is_(None), Worker.draining_at.is_(None))
    workers = session.scalars(serving).all()
    counted = select(Job.worker_id, func.count()).where(queue.runs()).group_by(Job.worker_id)
    counts = session.execute(counted).all() if workers else []
    busy = {worker_id: num for worker_id, num in counts if worker_id is not None}
    return _Fleet(workers, busy)


def _positions(session: Session, jobs: Sequence[Job]) -> dict[UUID, int]:
    """The places of those that are among the first; who is not due has the one it would take."""
    page = {
        "ids": [job.id for job in jobs],
        "queues": sorted({job.queue for job in jobs}),
        "project_id": jobs[0].project_id,
    }
    return dict(session.execute(_places(), page).all())


@cache  # to build it takes longer than to ask it
def _places() -> Select[UUID, int]:
    """All of a page in one statement: the jobs that count and, once more, those of the page stand
    in one line, and each of the page has as many of the former before it."""
    page, own_project = bindparam("ids", type_=ARRAY(Uuid)), bindparam("project_id", type_=Uuid)
    lane = queue.lanes()
    project = _projects(lane, own_project)
    may_run = or_(
        project.c.max_running.is_(None),
        project.c.running < project.c.max_running,
        project.c.id == own_project,
    )
    own = select(*_PLACED, false().label("counts")).where(Job.id == func.any(page))
    first = _first(lane, bindparam("queues", type_=ARRAY(Text)))
    line = union_all(own, *(select(some, true().label("counts")) for some in first)).subquery()
    order = (line.c.priority.desc(), project.c.running, line.c.queued_at, line.c.id)
    before = func.count().filter(line.c.counts)
    before = before.over(partition_by=line.c.queue, order_by=order, groups=(None, -1))
    stood = (
        select(line.c.id, line.c.counts, (1 + before).label("position"))
        .join(project, project.c.id == line.c.project_id)
        .where(may_run)
        .subquery()
    )
    query = select(stood.c.id, stood.c.position).where(~stood.c.counts)
    return query.where(stood.c.position <= PLACES)


_PLACED = (Job.id, Job.project_id, Job.queue, Job.priority, Job.queued_at)


def _first(lane: CTE, queues: BindParameter) -> tuple[Subquery, Subquery]:
    """The first jobs of each lane, in its index's order: nothing behind them is looked at.  And
    those whose time has come, but which no claim has lined up yet: few while any worker claims."""
    of_lane = (
        select(*_PLACED)
        .where(Job.project_id == lane.c.project_id, Job.deferred == lane.c.deferred)
        .where(Job.queue == lane.c.queue, Job.gpus == lane.c.gpus)
        .where(queue.waits())
        .order_by(Job.priority.desc(), Job.queued_at, Job.id)
        .limit(PLACES)
        .lateral()
    )
    lined_up = select(of_lane).select_from(lane.join(of_lane, true()))
    lined_up = lined_up.where(~lane.c.deferred, lane.c.queue == func.any(queues))
    due = select(*_PLACED).where(queue.waits(), Job.deferred, queue.due_at() <= func.now())
    return lined_up.subquery(), due.where(Job.queue == func.any(queues)).subquery()


def _projects(lane: CTE, own: BindParameter) -> CTE:
    """Those in which a job waits, and the page's, whose last one may just have been claimed."""
    query = select(Project.id, Project.max_running, queue.num_running().label("running"))
    in_lanes = Project.id.in_(select(lane.c.project_id))
    projects = query.where(or_(in_lanes, Project.id == own)).cte("project")
    return projects.prefix_with("MATERIALIZED")  # or their running jobs are counted for every row


def _timestamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
