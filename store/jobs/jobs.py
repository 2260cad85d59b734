"""Jobs: submission and reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, insert, select
from sqlalchemy.orm import Session, joinedload
from sqlalchemy.sql.dml import ReturningInsert

from grpo.data.source_ref import Kind, model_ref
from grpo.spec.job import JobSpec
from grpo.spec.lifecycle import Resources
from store import files, workers
from store.errors import NotFound
from store.ids import decode, encode, new_id
from store.jobs import checkpoints, quota
from store.jobs.checkpoints import CheckpointRef
from store.log import log
from store.states import Status, Wanted
from store.tables import Job, Record


@dataclass(frozen=True)
class StatusChange:
    """One entry of a job's timeline."""

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
    traceparent: str | None = None,
    needs_gpu: bool = False,
) -> Job:
    """Queue a job; its files and checkpoint are locked against deletion in this transaction.

    Args:
        retry_of: the ended job that this one retries.
        start: checkpoint from which the first attempt continues; None: step 0.
        traceparent: trace context of the submitting request, inherited by the attempts.
        needs_gpu: `resources.gpus: auto` is 1, even if no worker of the queue has a GPU yet.

    Raises:
        NotFound: one of the spec's files or its checkpoint was deleted.
        QuotaExceeded: the project is at its limit of queued jobs.
    """
    _reserve(session, project_id, spec)
    queued = {
        **_of_spec(session, spec, needs_gpu=needs_gpu),
        "project_id": project_id,
        "created_by": key_id,
        "status_reason": reason,
        "total_steps": total_steps,
        "retry_of": retry_of,
        "start_checkpoint_id": None if start is None else start.id,
        "traceparent": traceparent,
    }
    job = session.scalars(_queued(), [queued]).one()
    log.begin(session, job, log.Note("status", {"status": Status.QUEUED, "reason": reason}))
    return job


def _reserve(session: Session, project_id: UUID, spec: JobSpec) -> None:
    """Reserve room in the queue, and lock the spec's files and checkpoint against deletion."""
    model = model_ref(spec.model.source)
    if model.kind is Kind.CHECKPOINT:
        checkpoints.hold(session, project_id, decode("ckpt", model.name))
    quota.hold_place(session, project_id)
    files.hold(session, project_id, files.named_in(spec))


def _of_spec(session: Session, spec: JobSpec, *, needs_gpu: bool) -> dict[str, Any]:
    """Return the columns of a new job that follow from its spec alone."""
    resources = spec.resources
    return {
        "id": new_id(),
        "name": spec.name,
        "spec": spec.model_dump(mode="json"),
        "labels": spec.labels,
        "status": Status.QUEUED,
        "wanted": Wanted.RUN,
        "queue": resources.queue,
        "gpus": _num_gpus(session, resources, needs_gpu=needs_gpu),
        "priority": resources.priority,
        "not_before": resources.not_before,
        "deferred": resources.not_before is not None,
        "last_seq": 1,
    }


def _num_gpus(session: Session, resources: Resources, *, needs_gpu: bool) -> int:
    """Resolve `auto`: if a worker of the queue has a GPU, a worker without one must not take the
    job."""
    if resources.gpus == "auto":
        return int(needs_gpu or workers.serve_with_gpu(session, resources.queue))
    return resources.gpus


def artifact_key(job_id: UUID) -> str:
    """Return the folder of a job's artifacts in the artifact store."""
    return f"jobs/{encode('job', job_id)}"


def get(session: Session, project_id: UUID, job_id: UUID) -> Job:
    """Return one job of a project, with its API key.

    Raises:
        NotFound: the job does not exist, or is another project's.
    """
    asked = {"project_id": project_id, "job_id": job_id}
    return _found(session.scalar(_with_key(), asked), job_id)


def status(session: Session, job_id: UUID) -> Status | None:
    """Return a job's status alone; None: the job does not exist."""
    return session.scalar(select(Job.status).where(Job.id == job_id))


def locked(session: Session, project_id: UUID, job_id: UUID) -> Job:
    """Return a job, its row locked until the transaction ends; foreign keys to it may still be
    checked.

    Raises:
        NotFound: the job does not exist, or is another project's.
    """
    asked = {"project_id": project_id, "job_id": job_id}
    return _found(session.scalar(_locked(), asked), job_id)


def timelines(session: Session, found: Sequence[Job]) -> dict[UUID, list[StatusChange]]:
    """Return each job's changes of status and its user's requests, in order."""
    found_changes = {job.id: [_submission(job)] if job.last_seq == 1 else [] for job in found}
    rest = [job_id for job_id, changes in found_changes.items() if not changes]
    if not rest:
        return found_changes
    for job_id, payload, at in session.execute(_changes(), {"job_ids": rest}):
        found_changes[job_id].append(StatusChange(Status(payload["status"]), at, payload["reason"]))
    return found_changes


def _submission(job: Job) -> StatusChange:
    """Return the one timeline entry of a job whose log has no other record."""
    return StatusChange(Status.QUEUED, job.created_at, job.status_reason)


def _of_project() -> Select[Job]:
    own = Job.project_id == bindparam("project_id")
    return select(Job).where(own, Job.id == bindparam("job_id"))


@cache  # building the statement takes longer than running it
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
