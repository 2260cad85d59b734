"""Jobs: the user's moves, and reading them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, func, insert, select, update
from sqlalchemy.orm import Session

from grpo.spec.job import JobSpec
from store import files, log, queue
from store.errors import Conflict, NotFound
from store.ids import encode, new_id
from store.states import Status, Wanted
from store.tables import Job, Record


@dataclass(frozen=True)
class StatusChange:
    """One moment of a job's timeline."""

    status: Status
    at: datetime
    reason: str


def submit(
    session: Session,
    *,
    project_id: UUID,
    key_id: UUID,
    spec: JobSpec,
    total_steps: int | None,
) -> Job:
    """Queue a job.

    Its files are locked against deletion until the transaction ends.

    Raises:
        NotFound: one of its files is gone.
    """
    files.hold(session, project_id, files.named_in(spec))
    job_id = new_id()
    resources = spec.resources
    session.execute(
        insert(Job).values(
            id=job_id,
            project_id=project_id,
            created_by=key_id,
            name=spec.name,
            spec=spec.model_dump(mode="json"),
            labels=spec.labels,
            status=Status.QUEUED,
            wanted=Wanted.RUN,
            status_reason="submitted",
            queue=resources.queue,
            gpus=0 if resources.gpus == "auto" else resources.gpus,
            priority=resources.priority,
            total_steps=total_steps,
        )
    )
    payload = {"status": Status.QUEUED, "reason": "submitted"}
    log.append(session, job_id, 0, [log.Note("status", payload)])
    return session.get_one(Job, job_id)


def get(session: Session, project_id: UUID, job_id: UUID) -> Job:
    """One job of a project.

    Raises:
        NotFound: there is none, or it is another project's.
    """
    return _found(session.scalar(_of_project(project_id, job_id)), job_id)


def list_jobs(
    session: Session,
    project_id: UUID,
    *,
    statuses: Sequence[str] | None = None,
    label: tuple[str, str] | None = None,
    text: str | None = None,
    after: UUID | None = None,
    limit: int,
) -> list[Job]:
    """A project's jobs, the newest first.

    Args:
        statuses: only jobs in one of these.
        label: only jobs with this (name, value).
        text: only jobs whose name contains it, in whatever case.
        after: only jobs older than this one.
    """
    query = select(Job).where(Job.project_id == project_id)
    if statuses is not None:
        query = query.where(Job.status.in_([Status(status) for status in statuses]))
    if label is not None:
        query = query.where(Job.labels.contains(dict([label])))
    if text is not None:
        query = query.where(Job.name.icontains(text, autoescape=True))
    if after is not None:
        query = query.where(Job.id < after)
    return list(session.scalars(query.order_by(Job.id.desc()).limit(limit)))


def request_cancel(
    session: Session, project_id: UUID, job_id: UUID, *, kill: bool, reason: str
) -> Job:
    """Want the job to end.  A job that waits is cancelled here; a running one by its worker.

    Asking again, or for less than was asked before, changes nothing.

    Raises:
        NotFound: there is no such job in this project.
        Conflict: it has ended already.
    """
    locked = _of_project(project_id, job_id).with_for_update()
    job = _found(session.scalar(locked.execution_options(populate_existing=True)), job_id)
    if job.status.terminal:
        raise Conflict(f"job {encode('job', job_id)} has {job.status}: there is nothing to cancel")
    before, wanted = job.wanted, Wanted.KILL if kill else Wanted.CANCEL
    waits = job.status is not Status.RUNNING
    raised = update(Job).where(Job.id == job_id, Job.status == job.status)
    raised = raised.values(wanted=func.greatest(Job.wanted, wanted, type_=Job.wanted.type))
    if waits:
        raised = raised.values(
            status=Status.CANCELLED, status_reason=reason, finished_at=func.now()
        )
    session.execute(raised.execution_options(synchronize_session=False))
    session.refresh(job)
    if job.wanted is not before:
        payload = {"status": job.status, "reason": reason, "wanted": job.wanted}
        log.append(session, job_id, job.attempt, [log.Note("status", payload)])
    return job


def queue_position(session: Session, job: Job) -> int:
    """Its place among the queued jobs of its queue, from 1."""
    return queue.position(session, job)


def waiting_for(session: Session, job: Job) -> str:
    """What must happen for this queued job to be claimed."""
    return queue.waiting_for(session, job)


def timeline(session: Session, job_id: UUID) -> list[StatusChange]:
    """Every change of a job's status, and every wish that its user expressed, in order."""
    query = select(Record.payload, Record.at).where(
        Record.job_id == job_id, Record.kind == "status"
    )
    return [
        StatusChange(Status(payload["status"]), at, payload["reason"])
        for payload, at in session.execute(query.order_by(Record.seq))
    ]


def _of_project(project_id: UUID, job_id: UUID) -> Select[Job]:
    return select(Job).where(Job.project_id == project_id, Job.id == job_id)


def _found(job: Job | None, job_id: UUID) -> Job:
    if job is None:
        raise NotFound("job", encode("job", job_id))
    return job
