"""What a user may do to a job: end it, hold it, take it up again."""

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Body, Query

from api.addresses import JobId
from api.answers import problems
from api.auth import Submitter
from api.routes.jobs import shown
from api.services import FromServices
from api.session import RequestSession
from api.views.job import JobChange, JobView
from store import moves

router = APIRouter(prefix="/jobs/{job}", tags=["jobs"])


@router.post("/cancel", responses=problems(404, 409))
def cancel_job(
    job_id: JobId,
    caller: Submitter,
    session: RequestSession,
    kill: Annotated[bool, Query(description="End now, without a checkpoint.")] = False,
) -> JobView:
    """Cancel a job: a running one finishes its step and saves first, unless killed."""
    reason = f"{'killed' if kill else 'cancelled'} by {caller.key_name}"
    return shown(
        session, moves.cancel(session, caller.project_id, job_id, kill=kill, reason=reason)
    )


@router.post("/pause", responses=problems(404, 409))
def pause_job(job_id: JobId, caller: Submitter, session: RequestSession) -> JobView:
    """Pause a job: a running one finishes its step, saves and leaves its worker."""
    reason = f"paused by {caller.key_name}"
    return shown(session, moves.pause(session, caller.project_id, job_id, reason=reason))


@router.post("/resume", responses=problems(404, 409))
def resume_job(
    job_id: JobId,
    caller: Submitter,
    session: RequestSession,
    services: FromServices,
    after_commit: BackgroundTasks,
) -> JobView:
    """Resume a paused job: it goes to the end of the queue, and on from its last checkpoint.

    A running job that was only asked to pause runs on.
    """
    reason = f"resumed by {caller.key_name}"
    job = moves.resume(session, caller.project_id, job_id, reason=reason)
    after_commit.add_task(services.wake_ups.send)
    return shown(session, job)


@router.patch("", responses=problems(404, 409))
def change_job(
    job_id: JobId, change: Annotated[JobChange, Body()], caller: Submitter, session: RequestSession
) -> JobView:
    """Change a job's name, labels or priority; its spec then says the same."""
    by = caller.key_name
    return shown(session, moves.change(session, caller.project_id, job_id, change, by=by))
