"""OpenAI's fine-tuning API over Duet's jobs."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, Query, Request
from pydantic import TypeAdapter
from sqlalchemy.orm import Session

from api.dependencies.auth import Caller, Reader, Submitter
from api.dependencies.body import JsonBody, as_kind, request_of
from api.dependencies.path_ids import JobId, decoded
from api.dependencies.services import FromServices
from api.dependencies.transaction import RequestSession
from api.errors.problems import FieldProblem, Problem
from api.openai.create_job import CreateJob, in_their_terms, to_spec
from api.openai.idempotent import once
from api.openai.responses import errors
from api.openai.schemas import EVENT, EVENT_KINDS, Event, FineTuningJob, JobCheckpoint, Listed
from api.routes import job_actions
from api.routes.jobs import all_shown, shown
from api.schemas.jobs import JobView
from api.submission.data_facts import ProjectData
from api.submission.submit import MakesJobsUnkeyed
from grpo.spec.data import DataSource
from grpo.spec.resolve import SpecError
from grpo.validation.check import CheckedSpec
from store import ids
from store.errors import NotFound
from store.jobs import checkpoints, jobs
from store.jobs.listing import Filter, list_jobs
from store.log import log
from store.tables import Job

router = APIRouter(prefix="/fine_tuning/jobs", tags=["openai"])

Sent = Annotated[CreateJob, Depends(as_kind(TypeAdapter(CreateJob)))]
Limit = Annotated[int, Query(ge=1, le=100, description="Maximum number of items.")]
PAGING = ("after", "limit")
METADATA = re.compile(r"metadata\[(.+)\]")


@router.post("", responses=errors(400, 409, 413, 429), openapi_extra=request_of(CreateJob.__name__))
def create_fine_tuning_job(
    *, sent: Sent, body: JsonBody, making: MakesJobsUnkeyed, request: Request
) -> FineTuningJob:
    """Create a job. Duet's own settings go into `duet`: `extra_body={"duet": {...}}`."""
    caller, session = making.caller, making.session

    def check() -> CheckedSpec:
        spec = _spec(sent, making.checker.data)
        with _in_their_terms(sent):
            return making.checker.check(spec)

    def make(submission: CheckedSpec) -> FineTuningJob:
        job = making.store(submission)
        making.note("job.submit", job)
        return _fine_tuning_job(session, caller, job, shown(session, job))

    return once(making, check, make, headers=request.headers, body_hash=body.sha256)


@router.get("", responses=errors(404))
def list_fine_tuning_jobs(
    caller: Reader,
    session: RequestSession,
    request: Request,
    after: Annotated[
        str | None, Query(description="Id of the last item on the previous page.")
    ] = None,
    limit: Limit = 20,
) -> Listed[FineTuningJob]:
    """List jobs, newest first; `metadata[key]=value` selects jobs that have it, `metadata=null`
    those without metadata."""
    found = list_jobs(
        session,
        caller.project_id,
        _metadata(request),
        after=decoded("job", "job", after) if after else None,
        limit=limit + 1,
    )
    views = all_shown(session, found[:limit])
    jobs_shown = [
        _fine_tuning_job(session, caller, *each) for each in zip(found, views, strict=False)
    ]
    return Listed(data=jobs_shown, has_more=len(found) > limit)


@router.get("/{job}", responses=errors(404))
def retrieve_fine_tuning_job(
    job_id: JobId, caller: Reader, session: RequestSession
) -> FineTuningJob:
    """Retrieve a job."""
    job = jobs.get(session, caller.project_id, job_id)
    return _fine_tuning_job(session, caller, job, shown(session, job))


@router.post("/{job}/cancel", responses=errors(404, 409))
def cancel_fine_tuning_job(
    job_id: JobId, caller: Submitter, session: RequestSession
) -> FineTuningJob:
    """Cancel a job: a running one finishes its step and saves first."""
    job_actions.cancel_job(job_id, caller, session)
    return retrieve_fine_tuning_job(job_id, caller, session)


@router.post("/{job}/pause", responses=errors(404, 409))
def pause_fine_tuning_job(
    job_id: JobId, caller: Submitter, session: RequestSession
) -> FineTuningJob:
    """Pause a job."""
    job_actions.pause_job(job_id, caller, session)
    return retrieve_fine_tuning_job(job_id, caller, session)


@router.post("/{job}/resume", responses=errors(404, 409, 429))
def resume_fine_tuning_job(
    job_id: JobId,
    caller: Submitter,
    session: RequestSession,
    services: FromServices,
    after_commit: BackgroundTasks,
) -> FineTuningJob:
    """Resume a paused job."""
    job_actions.resume_job(job_id, caller, session, services, after_commit)
    return retrieve_fine_tuning_job(job_id, caller, session)


@router.get("/{job}/events", responses=errors(404))
def list_fine_tuning_events(
    job_id: JobId,
    caller: Reader,
    session: RequestSession,
    after: Annotated[
        str | None, Query(description="Id of the last item on the previous page.")
    ] = None,
    limit: Limit = 20,
) -> Listed[Event]:
    """List a job's events, newest first."""
    job = jobs.get(session, caller.project_id, job_id)
    before = None if after is None else _number(after)
    found = log.newest(session, job.id, kinds=EVENT_KINDS, before=before, limit=limit + 1)
    events = [Event.of(record) for record in found[:limit]]
    return Listed(data=events, has_more=len(found) > limit)


@router.get("/{job}/checkpoints", responses=errors(404))
def list_fine_tuning_checkpoints(
    job_id: JobId,
    caller: Reader,
    session: RequestSession,
    after: Annotated[
        str | None, Query(description="Id of the last item on the previous page.")
    ] = None,
    limit: Limit = 10,
) -> Listed[JobCheckpoint]:
    """List a job's checkpoints, newest first."""
    job = jobs.get(session, caller.project_id, job_id)
    start = decoded("ckpt", "checkpoint", after) if after else None
    newest_first = reversed(checkpoints.list_checkpoints(session, job.id))
    found = [item for item in newest_first if start is None or item.id < start]
    metric = job.spec["evaluation"]["metric"]
    shown_checkpoints = [JobCheckpoint.of(item, metric=metric) for item in found[:limit]]
    return Listed(data=shown_checkpoints, has_more=len(found) > limit)


def _spec(sent: CreateJob, project: ProjectData) -> dict[str, Any]:
    """The spec of the request, with the fields of its training file."""
    try:
        facts = project.facts(DataSource(source=sent.training_file))
    except ValueError as error:
        raise SpecError([("/training_file", str(error))]) from None
    return to_spec(sent, facts.fields if facts else {})


@contextmanager
def _in_their_terms(sent: CreateJob) -> Iterator[None]:
    """Name the request's fields in an error."""
    try:
        yield
    except SpecError as error:
        raise in_their_terms(error, sent) from None


def _fine_tuning_job(session: Session, caller: Caller, job: Job, view: JobView) -> FineTuningJob:
    ended = checkpoints.list_checkpoints(session, job.id) if job.status == "succeeded" else []
    final = [checkpoint for checkpoint in ended if checkpoint.final]
    return FineTuningJob.of(
        view,
        project=caller.project_name,
        model=ids.encode("ckpt", final[-1].id) if final else None,
        now=time.time(),
    )


def _metadata(request: Request) -> Filter:
    """Parse the metadata filter.

    Raises:
        Problem: an unsupported query parameter, or both forms of the filter.
    """
    sent = {name: value for name, value in request.query_params.items() if name not in PAGING}
    if sent == {"metadata": "null"}:
        return Filter(unlabelled=True)
    wanted = {}
    for name, value in sent.items():
        found = METADATA.fullmatch(name)
        if found is None:
            detail = f"{name!r} is an unsupported query parameter, value or combination"
            error = FieldProblem(detail=detail, parameter=name)
            raise Problem(422, "invalid_request", detail, errors=[error])
        wanted[found[1]] = value
    return Filter(labels=wanted)


def _number(event: str) -> int:
    digits = event.removeprefix(EVENT)
    if digits == event or not digits.isdecimal() or len(digits) > 18:
        raise NotFound("event", event)
    return int(digits)
