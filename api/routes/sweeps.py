"""Sweeps: several jobs submitted, shown and cancelled together."""

from contextlib import suppress
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import TypeAdapter
from sqlalchemy.orm import Session

from api.dependencies.auth import Caller, Reader, Submitter
from api.dependencies.body import JsonBody, as_kind, request_of
from api.dependencies.path_ids import SweepId, decoded
from api.dependencies.transaction import ReadingSession, RequestSession
from api.errors.responses import problems
from api.schemas.base import Page
from api.schemas.paging import Limit, page
from api.schemas.sweeps import (
    MAX_JOBS,
    NewSweep,
    SweepEstimate,
    SweepSummaryView,
    SweepView,
)
from api.submission.idempotent import CREATED
from api.submission.submit import MakesJobs
from api.submission.sweep import check_sweep
from grpo.validation.check import CheckedSpec
from store import ids
from store.access import audit
from store.errors import Conflict, NotFound
from store.jobs import transitions
from store.jobs.listing import Filter, list_jobs
from store.jobs.sweeps import list_sweeps
from store.jobs.transitions import SWEEP_LABEL
from store.tables import Job

router = APIRouter(prefix="/sweeps", tags=["sweeps"])

SweepBody = Annotated[NewSweep, Depends(as_kind(TypeAdapter(NewSweep)))]


@router.post(
    "",
    status_code=201,
    response_model=SweepView,
    responses={
        200: {
            "description": "The result of `validate_only`: every spec is valid.",
            "model": SweepEstimate,
        },
        **CREATED,
        **problems(400, 404, 409, 413, 429),
    },
    openapi_extra=request_of(NewSweep.__name__),
)
def submit_sweep(
    *,
    sweep: SweepBody,
    body: JsonBody,
    request: MakesJobs,
    validate_only: Annotated[
        bool, Query(description="Check the specs and return the resolved ones; store nothing.")
    ] = False,
) -> Response:
    """Submit several jobs that differ in some fields: all of them, or none."""
    sweep_id = ids.encode("swp", ids.new_id())

    def check() -> list[CheckedSpec]:
        return check_sweep(sweep, sweep_id, request.checker)

    def make(checked: list[CheckedSpec]) -> SweepView:
        reason = f"submitted as one of sweep {sweep_id}"
        made = [request.store(submission, reason=reason) for submission in checked]
        request.note("sweep.submit", sweep_id)
        return SweepView.of(sweep_id, made)

    if validate_only:
        estimates = SweepEstimate(jobs=[submission.estimate() for submission in check()])
        return JSONResponse(estimates.model_dump(mode="json"))
    return request.once(
        check, make, route="POST /v1/sweeps", body_hash=body.sha256, place="/v1/sweeps"
    )


@router.get("", responses=problems(404))
def list_all_sweeps(
    *,
    caller: Reader,
    session: ReadingSession,
    request: Request,
    response: Response,
    after: Annotated[str | None, Query(description="`next` of the previous page.")] = None,
    limit: Limit = 20,
) -> Page[SweepSummaryView]:
    """List sweeps, newest first, each with the number of its jobs by status."""
    start = decoded("swp", "page", after) if after else None
    found = list_sweeps(session, caller.project_id, after=start, limit=limit + 1)
    return page(
        request,
        response,
        found,
        limit,
        view=SweepSummaryView.of,
        cursor=lambda sweep: ids.encode("swp", sweep.id),
    )


@router.get("/{sweep}", responses=problems(404))
def read_sweep(sweep_id: SweepId, caller: Reader, session: RequestSession) -> SweepView:
    """Return a sweep's jobs, the differences between them, and their progress."""
    return _shown(session, caller, sweep_id)


@router.post("/{sweep}/cancel", responses=problems(404))
def cancel_sweep(
    sweep_id: SweepId,
    caller: Submitter,
    session: RequestSession,
    kill: Annotated[bool, Query(description="End now, without checkpoints.")] = False,
) -> SweepView:
    """Cancel every job of a sweep that has not ended, as `POST /v1/jobs/{job}/cancel` does."""
    reason = f"{'killed' if kill else 'cancelled'} with its sweep by {caller.key_name}"
    for job in _jobs(session, caller, sweep_id):
        with suppress(Conflict):  # already ended
            transitions.cancel(session, caller.project_id, job.id, kill=kill, reason=reason)
    action = "sweep.kill" if kill else "sweep.cancel"
    audit.note(session, caller.actor, action, ids.encode("swp", sweep_id))
    return _shown(session, caller, sweep_id)


def _shown(session: Session, caller: Caller, sweep_id: UUID) -> SweepView:
    return SweepView.of(ids.encode("swp", sweep_id), _jobs(session, caller, sweep_id))


def _jobs(session: Session, caller: Caller, sweep_id: UUID) -> list[Job]:
    """The sweep's jobs, in the order of submission.

    Raises:
        NotFound: no job of this project has its label.
    """
    name = ids.encode("swp", sweep_id)
    sweep = Filter(labels={SWEEP_LABEL: name})
    found = list_jobs(session, caller.project_id, sweep, limit=MAX_JOBS)
    if not found:
        raise NotFound("sweep", name)
    return found[::-1]
