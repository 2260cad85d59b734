"""Jobs: submitting and reading them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, insert, select
from sqlalchemy.orm import Session, joinedload
from sqlalchemy.sql.dml import ReturningInsert

from grpo.spec.job import JobSpec
from store import files
from store.errors import NotFound
from store.ids import encode, new_id
from store.jobs import quota
from store.jobs.checkpoints import CheckpointRef
from store.log import log
from store.states import Status, Wanted
from store.tables import Job, Record
from store.telemetry.trace import Trace


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
    retry_of: UUID | None = None,
    start: CheckpointRef | None = None,
    reason: str = "submitted",
    trace: Trace | None = None,
) -> Job:
    """Queue a job.

    Its files are locked against deletion until the transaction ends.

    Args:
        retry_of: the ended job that it takes up again.
        start: where its first attempt continues from; None: at step 0.
        trace: what its attempts belong to.

    Raises:
        NotFound: one of its files is gone.
        QuotaExceeded: as many jobs of the project wait as may.
    """
    quota.hold_place(session, project_id)
    if named := files.named_in(spec):
        files.hold(session, project_id, named)
    resources = spec.resources
    queued = {
        "id": new_id(),
        "project_id": project_id,
        "created_by": key_id,
        "name": spec.name,
        "spec": spec.model_dump(mode="json"),
        "labels": spec.labels,
        "status": Status.QUEUED,
        "wanted": Wanted.RUN,
        "status_reason": reason,
        "queue": resources.queue,
        "gpus": 0 if resources.gpus == "auto" else resources.gpus,
        "priority": resources.priority,
        "not_before": resources.not_before,
        "deferred": resources.not_before is not None,
        "total_steps": total_steps,
        "retry_of": retry_of,
        "start_checkpoint_id": None if start is None else start.id,
        "traceparent": None if trace is None else str(trace),
        "last_seq": 1,
    }
    job = session.scalars(_queued(), [queued]).one()
    log.begin(session, job, log.Note("status", {"status": Status.QUEUED, "reason": reason}))
    return job


def artifact_key(job_id: UUID) -> str:
    """Where all that its attempts have made lies in the artifact store."""
    return f"jobs/{encode('job', job_id)}"


def get(session: Session, project_id: UUID, job_id: UUID) -> Job:
    """One job of a project, with its key.

    Raises:
        NotFound: there is none, or it is another project's.
    """
    asked = {"project_id": project_id, "job_id": job_id}
    return _found(session.scalar(_with_key(), asked), job_id)


def status(session: Session, job_id: UUID) -> Status | None:
    """What a job is now, and nothing else of it; None: there is none."""
    return session.scalar(select(Job.status).where(Job.id == job_id))


def locked(session: Session, project_id: UUID, job_id: UUID) -> Job:
    """As `get`, with the row locked until the transaction ends; that another row refers to it may
    still be checked.

    Raises:
        NotFound: there is none, or it is another project's.
    """
    asked = {"project_id": project_id, "job_id": job_id}
    return _found(session.scalar(_locked(), asked), job_id)


def timelines(session: Session, found: Sequence[Job]) -> dict[UUID, list[StatusChange]]:
    """Of each job every change of its status, and every wish that its user expressed, in order."""
    told = {job.id: [_submission(job)] if job.last_seq == 1 else [] for job in found}
    rest = [job_id for job_id, changes in told.items() if not changes]
    if not rest:
        return told
    for job_id, payload, at in session.execute(_changes(), {"job_ids": rest}):
        told[job_id].append(StatusChange(Status(payload["status"]), at, payload["reason"]))
    return told


def _submission(job: Job) -> StatusChange:
    """All that its log says of a job to which nothing has happened yet."""
    return StatusChange(Status.QUEUED, job.created_at, job.status_reason)


def _of_project() -> Select[Job]:
    own = Job.project_id == bindparam("project_id")
    return select(Job).where(own, Job.id == bindparam("job_id"))


@cache  # to build it takes longer than to ask it
def _with_key() -> Select[Job]:
    return _of_project().options(joinedload(Job.key))


@cache
def _locked() -> Select[Job]:
    query = _of_project().with_for_update(key_share=True)
    return query.execution_options(populate_existing=True)


@cache
def _changes() -> Select[UUID, dict[str, Any], datetime]:
    query = select(Record.job_id, Record.payload, Record.at).where(
        Record.job_id.in_(bindparam("job_ids", expanding=True)), Record.kind == "status"
    )
    return query.order_by(Record.job_id, Record.seq)


@cache
def _queued() -> ReturningInsert[Job]:
    return insert(Job).returning(Job)


def _found(job: Job | None, job_id: UUID) -> Job:
    if job is None:
        raise NotFound("job", encode("job", job_id))
    return job
