"""Jobs: submit, list, read."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy.orm import Session

from api.dependencies.auth import Reader
from api.dependencies.body import JsonBody, request_of
from api.dependencies.path_ids import JobId, decoded
from api.dependencies.transaction import ReadingSession
from api.downloads.etag import UNCHANGED, tagged
from api.errors.responses import problems
from api.schemas.base import Page
from api.schemas.jobs import JobView, Moment, Queue
from api.schemas.paging import NO_NUL, Limit, page
from api.submission.idempotent import CREATED
from api.submission.preflight import preflight_of
from api.submission.submit import MakesJobs
from grpo.validation.check import CheckedSpec
from grpo.validation.results import Estimate
from grpo.values.field_errors import matching
from store.jobs import attempts, jobs, listing, queue_position
from store.jobs.attempts import RunTime
from store.jobs.listing import Sort
from store.states import Status
from store.tables import Job

router = APIRouter(prefix="/jobs", tags=["jobs"])

LABEL = matching(r"^[^:\x00]+:[^\x00]*$", "must be a label as key:value")
ROUTE = "POST /v1/jobs"
POLL_SECONDS = {Status.QUEUED: 5, Status.RUNNING: 2}
"""Interval that a client which polls a job is advised to keep, by the job's status."""


@router.post(
    "",
    status_code=201,
    response_model=JobView,
    responses={
        200: {
            "description": "The result of `validate_only`: the spec is valid.",
            "model": Estimate,
        },
        **CREATED,
        **problems(400, 409, 413, 429),
    },
    openapi_extra=request_of("JobSpec"),
)
def submit_job(
    *,
    body: JsonBody,
    request: MakesJobs,
    validate_only: Annotated[
        bool,
        Query(
            description="Check the spec, test its rewards, and return the resolved spec; store "
            "nothing."
        ),
    ] = False,
) -> Response:
    """Submit a job. The body is the spec; every field has a default."""

    def check() -> CheckedSpec:
        return request.checker.check(body.value)

    def make(submission: CheckedSpec) -> JobView:
        job = request.store(submission)
        request.note("job.submit", job)
        return shown(request.session, job)

    if validate_only:
        submission = check()
        tried = preflight_of(submission.spec, request)
        return JSONResponse(submission.estimate(tried).model_dump(mode="json"))
    return request.once(check, make, route=ROUTE, body_hash=body.sha256)


@router.get("", response_model=Page[JobView], responses=UNCHANGED | problems(404))
def list_jobs(
    *,
    caller: Reader,
    session: ReadingSession,
    request: Request,
    response: Response,
    status: Annotated[list[Status] | None, Query(description="May be repeated.")] = None,
    label: Annotated[
        str | None,
        Query(description="`key:value`.", pattern=LABEL, max_length=613),
    ] = None,
    model: Annotated[
        str | None, Query(description="`model.source`.", max_length=400, pattern=NO_NUL)
    ] = None,
    text: Annotated[
        str | None, Query(description="Part of the name.", max_length=200, pattern=NO_NUL)
    ] = None,
    sort: Annotated[Sort, Query(description="`-`: descending.")] = "-created_at",
    after: Annotated[str | None, Query(description="`next` of the previous page.")] = None,
    limit: Limit = 20,
) -> Response:
    """List jobs, newest first by default; 304 while `If-None-Match` names the list's ETag."""
    labels = dict([_name_and_value(label)]) if label else {}
    found = listing.list_jobs(
        session,
        caller.project_id,
        listing.Filter(statuses=status, labels=labels, model=model, text=text),
        sort=sort,
        after=decoded("job", "page", after) if after else None,
        limit=limit + 1,
    )
    listed = page(
        request,
        response,
        all_shown(session, found),
        limit,
        view=lambda shown: shown,
        cursor=lambda shown: shown.id,
    )
    return tagged(request, listed, headers=_link(response))


@router.get("/{job}", response_model=JobView, responses=UNCHANGED | problems(404))
def read_job(job_id: JobId, caller: Reader, session: ReadingSession, request: Request) -> Response:
    """Return a job; `If-None-Match` with its ETag answers 304 while nothing has changed.

    While the job can change by itself, `Retry-After` says after how many seconds to poll again.
    """
    job = jobs.get(session, caller.project_id, job_id)
    polled = POLL_SECONDS.get(job.status)
    headers = {} if polled is None else {"Retry-After": str(polled)}
    return tagged(request, shown(session, job), headers=headers)


def _link(response: Response) -> dict[str, str]:
    return {name: response.headers[name] for name in ("Link",) if name in response.headers}


def _name_and_value(label: str) -> tuple[str, str]:
    name, _, value = label.partition(":")
    return name, value


def shown(session: Session, job: Job) -> JobView:
    """The job, completed from the rest of the database."""
    return all_shown(session, [job])[0]


def all_shown(session: Session, found: Sequence[Job]) -> list[JobView]:
    """A project's jobs as in `shown`, with as many queries as for one job."""
    timelines = jobs.timelines(session, found)
    queued = [job for job in found if job.status is Status.QUEUED]
    places = queue_position.of_jobs(session, queued, timelines)
    run_times = attempts.run_times(session, [job.id for job in found if job.attempt])
    return [
        JobView.of(
            job,
            owner=job.key.name,
            queue=Queue.of(places[job.id]) if job.id in places else None,
            timeline=[Moment.of(change) for change in timelines[job.id]],
            run_time=run_times.get(job.id, RunTime()),
        )
        for job in found
    ]
