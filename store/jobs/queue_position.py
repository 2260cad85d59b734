"""Queue position of each job of a page, and the reason for its wait."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CTE,
    BindParameter,
    ColumnElement,
    FromClause,
    Select,
    Text,
    Uuid,
    bindparam,
    case,
    false,
    func,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.orm import Session

from store.jobs import queue
from store.jobs.jobs import StatusChange
from store.states import Status
from store.tables import Job, Project, Worker

PLACES = 1000
"""Limit of counted positions, so that a query costs the same however many jobs are queued."""


@dataclass(frozen=True)
class Waiting:
    """Queue position of a job, and what it waits for."""

    position: int | None
    """Position from 1, in the order of `queue.claimable`, among the claimable jobs of its queue;
    None: beyond the first `PLACES`."""
    waiting_for: str
    """Condition for the job to be claimed."""
    since: datetime
    """Time at which the job became claimable, or began to wait for its start time."""


@dataclass(frozen=True)
class _Place:
    """Queue position of a job, with its project's running jobs."""

    position: int | None
    now: datetime
    max_running: int | None
    num_running: int


@dataclass(frozen=True)
class _Serving:
    """A worker that accepts jobs."""

    queues: Sequence[str]
    num_gpus: int
    slots: int
    blocked: str | None
    num_busy: int


def of_jobs(
    session: Session, jobs: Sequence[Job], timelines: Mapping[UUID, Sequence[StatusChange]]
) -> dict[UUID, Waiting]:
    """Return position and reason for queued jobs of one project."""
    if not jobs:
        return {}
    workers = _workers(session)
    places = _places(session, jobs)
    return {
        job.id: Waiting(
            position=places[job.id].position,
            waiting_for=_waiting_for(job, places[job.id], workers),
            since=_since(job, timelines[job.id], places[job.id].now),
        )
        for job in jobs
        if job.id in places  # else it was deleted meanwhile
    }


def _since(job: Job, timeline: Sequence[StatusChange], now: datetime) -> datetime:
    queued_at = max(change.at for change in timeline if change.status is Status.QUEUED)
    begun = [queued_at, job.not_before, job.retry_at]
    # All may be later than `now`, the start of the transaction, if it waited for the job's row.
    return max((at for at in begun if at is not None and at <= now), default=queued_at)


def _waiting_for(job: Job, place: _Place, workers: Sequence[_Serving]) -> str:
    if job.not_before is not None and job.not_before > place.now:
        return f"its start time, {_timestamp(job.not_before)}"
    if job.retry_at is not None and job.retry_at > place.now:
        after = f"failure {job.failures} of {job.spec['resources']['max_failures']}"
        return f"its next attempt at {_timestamp(job.retry_at)}, after {after}"
    if place.max_running is not None and place.num_running >= place.max_running:
        running = f"{place.num_running} running, of at most {place.max_running}"
        return f"a job of its project to end: {running}"
    return _waiting_for_worker(job, place.position, workers)


def _waiting_for_worker(job: Job, position: int | None, workers: Sequence[_Serving]) -> str:
    serving = [worker for worker in workers if job.queue in worker.queues]
    if not serving:
        return f"a worker for queue {job.queue!r}"
    fitting = [worker for worker in serving if worker.num_gpus >= job.gpus]
    if not fitting:
        gpus = "1 GPU" if job.gpus == 1 else f"{job.gpus} GPUs"
        return f"a worker with {gpus} for queue {job.queue!r}"
    writing = [worker for worker in fitting if worker.blocked is None]
    if not writing:
        return f"a worker that can run it: {fitting[0].blocked}"
    num_busy = sum(worker.num_busy for worker in writing)
    if position is None or num_busy + position > sum(worker.slots for worker in writing):
        return "other jobs to finish"
    return "a worker to claim it shortly"


def _workers(session: Session) -> list[_Serving]:
    return [_Serving(*row) for row in session.execute(_serving())]


@cache  # building the statement takes longer than running it
def _serving() -> Select[*tuple[Any, ...]]:
    counted = select(Job.worker_id, func.count().label("jobs")).where(queue.runs())
    busy = counted.group_by(Job.worker_id).subquery()
    num_busy = func.coalesce(busy.c.jobs, 0)
    return (
        select(Worker.queues, Worker.num_gpus, Worker.slots, Worker.blocked, num_busy)
        .outerjoin(busy, busy.c.worker_id == Worker.id)
        .where(Worker.gone_at.is_(None), Worker.draining_at.is_(None))
    )


def _places(session: Session, jobs: Sequence[Job]) -> dict[UUID, _Place]:
    """Return each job's position; a job that is not due yet has the position it would take."""
    page = {
        "ids": [job.id for job in jobs],
        "queues": sorted({job.queue for job in jobs}),
        "project_id": jobs[0].project_id,
    }
    return {job_id: _Place(*place) for job_id, *place in session.execute(_placed(), page)}


@cache
def _placed() -> Select[*tuple[Any, ...]]:
    """Build the statement for a page: the counted jobs and, a second time, those of the page are
    put in one order, and the counted jobs before a job of the page are its position."""
    own_project = bindparam("project_id", type_=Uuid)
    line = _line(bindparam("ids", type_=ARRAY(Uuid)), bindparam("queues", type_=ARRAY(Text)))
    project = _projects(line)
    may_run = or_(
        project.c.max_running.is_(None),
        project.c.running < project.c.max_running,
        project.c.id == own_project,
    )
    in_project = (line.c.priority.desc(), line.c.queued_at, line.c.id)
    place = 1 + _before(line, by=(line.c.queue, line.c.project_id), order=in_project)
    taken = (
        select(
            line,
            place.label("place"),
            *(column for name, column in project.c.items() if name != "id"),
        )
        .join(project, project.c.id == line.c.project_id)
        .where(may_run)
        .subquery()
    )
    # Predicts `queue.claimable`: a project's second job is ordered as if its first one ran, and of
    # two projects with the same share the one whose previous job comes, or came, earlier is first.
    share = queue.share(taken.c.running, taken.c.place, taken.c.weight)
    before = queue.share(taken.c.running, taken.c.place - 1, taken.c.weight)
    last = case((taken.c.place > 1, before), else_=-1)
    turn = taken.c.turn.asc().nulls_first()
    order = (share, last, taken.c.place, turn, taken.c.queued_at, taken.c.id)
    position = 1 + _before(taken, by=(taken.c.queue,), order=order)
    stood = select(taken, position.label("position")).subquery()
    position = case((stood.c.position <= PLACES, stood.c.position))
    facts = (func.now(), stood.c.max_running, stood.c.running)
    return select(stood.c.id, position, *facts).where(~stood.c.counts)


def _before(
    line: FromClause, *, by: Sequence[ColumnElement[Any]], order: Sequence[ColumnElement[Any]]
) -> ColumnElement[int]:
    """Return the number of counted jobs before a row."""
    counting = func.count().filter(line.c.counts)
    return counting.over(partition_by=by, order_by=order, groups=(None, -1))


_PLACED = (Job.id, Job.project_id, Job.queue, Job.priority, Job.queued_at)


def _line(page: BindParameter[Sequence[UUID]], queues: BindParameter[Sequence[str]]) -> CTE:
    """Select the page's jobs and the counted ones: the first of each lane, in its index's order,
    without reading further ones, and the due jobs that no claim has lined up yet, which are few
    while any worker claims."""
    own = select(*_PLACED, false().label("counts")).where(Job.id == func.any(page))
    counted = select(*_PLACED, true().label("counts"))
    lane = queue.lanes(queues)
    first = (
        counted.where(queue.of_lane(lane))
        .order_by(Job.priority.desc(), Job.queued_at, Job.id)
        .limit(PLACES)
        .lateral()
    )
    due = counted.where(queue.waits(), Job.deferred, queue.due_at() <= func.now())
    return union_all(
        own,
        select(first).select_from(lane.join(first, true())),
        due.where(Job.queue == func.any(queues)),
    ).cte("line")


def _projects(line: CTE) -> CTE:
    """Select the projects of the line's jobs."""
    projects = select(
        Project.id,
        Project.max_running,
        Project.weight,
        queue.num_running().label("running"),
        queue.last_turn().label("turn"),
    ).where(Project.id.in_(select(line.c.project_id)))
    # Otherwise their running jobs would be counted for every row.
    return projects.cte("project").prefix_with("MATERIALIZED")


def _timestamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
