"""Actions on a job: cancel, pause, resume, change, retry, fork and delete."""

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends, Query, Response
from pydantic import TypeAdapter

from api.dependencies.auth import Submitter
from api.dependencies.body import JsonBody, as_kind, request_of
from api.dependencies.path_ids import JobId
from api.dependencies.services import FromServices
from api.dependencies.transaction import RequestSession
from api.errors.responses import problems
from api.routes.jobs import shown
from api.schemas.jobs import Fork, JobChange, JobView
from api.submission.fork import check_fork, held_checkpoint
from api.submission.idempotent import CREATED
from api.submission.submit import MakesJobs
from grpo.validation.check import CheckedSpec
from store.access import audit
from store.ids import encode
from store.jobs import jobs, transitions

router = APIRouter(prefix="/jobs/{job}", tags=["jobs"])

ChangeBody = Annotated[JobChange, Depends(as_kind(TypeAdapter(JobChange)))]
ForkBody = Annotated[Fork, Depends(as_kind(TypeAdapter(Fork)))]


@router.post("/cancel", responses=problems(404, 409))
def cancel_job(
    job_id: JobId,
    caller: Submitter,
    session: RequestSession,
    kill: Annotated[bool, Query(description="End now, without a checkpoint.")] = False,
) -> JobView:
    """Cancel a job: a running one finishes its step and saves first, unless killed."""
    reason = f"{'killed' if kill else 'cancelled'} by {caller.key_name}"
    audit.note(session, caller.actor, "job.kill" if kill else "job.cancel", encode("job", job_id))
    return shown(
        session, transitions.cancel(session, caller.project_id, job_id, kill=kill, reason=reason)
    )


@router.post("/pause", responses=problems(404, 409))
def pause_job(job_id: JobId, caller: Submitter, session: RequestSession) -> JobView:
    """Pause a job: a running one finishes its step, saves and leaves its worker."""
    reason = f"paused by {caller.key_name}"
    audit.note(session, caller.actor, "job.pause", encode("job", job_id))
    return shown(session, transitions.pause(session, caller.project_id, job_id, reason=reason))


@router.post("/resume", responses=problems(404, 409, 429))
def resume_job(
    job_id: JobId,
    caller: Submitter,
    session: RequestSession,
    services: FromServices,
    after_commit: BackgroundTasks,
) -> JobView:
    """Resume a paused job: it goes to the end of the queue and resumes from its last checkpoint.

    A running job with a pending pause request keeps running.
    """
    reason = f"resumed by {caller.key_name}"
    audit.note(session, caller.actor, "job.resume", encode("job", job_id))
    job = transitions.resume(session, caller.project_id, job_id, reason=reason)
    after_commit.add_task(services.wake_ups.send)
    return shown(session, job)


@router.patch(
    "", responses=problems(400, 404, 409, 413), openapi_extra=request_of(JobChange.__name__)
)
def change_job(
    job_id: JobId, change: ChangeBody, caller: Submitter, session: RequestSession
) -> JobView:
    """Change a job's name, labels or priority; its spec changes accordingly."""
    by = caller.key_name
    audit.note(session, caller.actor, "job.change", encode("job", job_id))
    return shown(session, transitions.change(session, caller.project_id, job_id, change, by=by))


@router.post(
    "/retry",
    status_code=201,
    response_model=JobView,
    responses={**CREATED, **problems(404, 409, 429)},
)
def retry_job(job_id: JobId, request: MakesJobs) -> Response:
    """Retry an ended job: create a job with the same spec that continues from its last usable
    checkpoint."""

    project_id, reading = request.caller.project_id, request.services.database.autocommit

    def check() -> CheckedSpec:
        with reading() as session:
            spec = jobs.get(session, project_id, job_id).spec
        return request.checker.check(spec)

    def make(submission: CheckedSpec) -> JobView:
        job = transitions.retry(
            request.session,
            transitions.ended(request.session, project_id, job_id),
            key_id=request.caller.key_id,
            spec=submission.spec,
            total_steps=submission.total_steps,
            by=request.caller.key_name,
            traceparent=request.traceparent,
        )
        request.note("job.retry", job)
        return shown(request.session, job)

    return request.once(check, make, route=f"POST /v1/jobs/{job_id}/retry")


@router.post(
    "/fork",
    status_code=201,
    response_model=JobView,
    responses={**CREATED, **problems(400, 404, 409, 413, 429)},
    openapi_extra=request_of(Fork.__name__),
)
def fork_job(job_id: JobId, fork: ForkBody, body: JsonBody, request: MakesJobs) -> Response:
    """Start a new job from a job's checkpoint: its weights, a fresh optimizer, step 0."""

    project_id, reading = request.caller.project_id, request.services.database.autocommit

    def check() -> CheckedSpec:
        with reading() as session:
            source = jobs.get(session, project_id, job_id)
            held_checkpoint(session, source, fork.checkpoint)
        return check_fork(fork, source.spec, request.checker)

    def make(submission: CheckedSpec) -> JobView:
        source = jobs.get(request.session, project_id, job_id)
        checkpoint = held_checkpoint(request.session, source, fork.checkpoint)
        origin = f"{encode('job', job_id)} at step {checkpoint.step}"
        job = request.store(submission, reason=f"fork of {origin}, by {request.caller.key_name}")
        request.note("job.fork", job)
        return shown(request.session, job)

    return request.once(check, make, route=f"POST /v1/jobs/{job_id}/fork", body_hash=body.sha256)


@router.delete("", status_code=204, responses=problems(404, 409))
def delete_job(
    job_id: JobId,
    caller: Submitter,
    session: RequestSession,
    services: FromServices,
    after_commit: BackgroundTasks,
) -> None:
    """Delete an ended job with its log, its attempts and its checkpoints.

    Not possible while another job needs one of the checkpoints: an unfinished job that starts from
    it, or a job that trained an adapter on it.
    """
    transitions.delete(session, caller.project_id, job_id)
    audit.note(session, caller.actor, "job.delete", encode("job", job_id))
    after_commit.add_task(services.artifacts.delete, jobs.artifact_key(job_id))
