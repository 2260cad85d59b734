"""A job's log: its records, attempts, samples and metrics."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.dependencies.auth import Reader
from api.dependencies.path_ids import JobId
from api.dependencies.transaction import ReadingSession
from api.errors.responses import problems
from api.schemas.base import Page
from api.schemas.log import Attempts, AttemptView, Curve, Kind, Metrics, RecordView, SampleView
from api.schemas.paging import Limit, Names, listed_names, page
from grpo.values.field_errors import matching
from store.jobs import attempts, jobs
from store.log import curves as metrics
from store.log import log, samples

router = APIRouter(prefix="/jobs/{job}", tags=["log"])

After = Annotated[int, Query(ge=0, le=2**63 - 1, description="Only records of a higher seq.")]


@router.get("/records", responses=problems(404))
def list_records(
    *,
    job_id: JobId,
    caller: Reader,
    session: ReadingSession,
    request: Request,
    response: Response,
    kind: Annotated[list[Kind] | None, Query(description="May be repeated.")] = None,
    superseded: Annotated[
        bool, Query(description="Include records that a later attempt has superseded.")
    ] = False,
    after: After = 0,
    limit: Limit = 100,
) -> Page[RecordView]:
    """List records in the order of their seq."""
    job = jobs.get(session, caller.project_id, job_id)
    found = log.read(
        session, job.id, kinds=kind, after=after, limit=limit + 1, superseded=superseded
    )
    return page(
        request,
        response,
        found,
        limit,
        view=RecordView.of,
        cursor=lambda row: str(row.seq),
    )


@router.get("/attempts", responses=problems(404))
def list_attempts(job_id: JobId, caller: Reader, session: ReadingSession) -> Attempts:
    """List a job's attempts, oldest first."""
    job = jobs.get(session, caller.project_id, job_id)
    return Attempts(
        data=[AttemptView.of(attempt) for attempt in attempts.list_attempts(session, job.id)]
    )


@router.get("/samples", responses=problems(404))
def list_samples(
    *,
    job_id: JobId,
    caller: Reader,
    session: ReadingSession,
    request: Request,
    response: Response,
    step: Annotated[
        int | None, Query(ge=0, le=2**31 - 1, description="Only samples of this step.")
    ] = None,
    outcome: Annotated[
        str | None,
        Query(
            description="`mixed`, `tied`, or both separated by a comma.",
            pattern=matching(
                "^(mixed|tied)(,(mixed|tied))?$", "must be mixed, tied, or mixed,tied"
            ),
        ),
    ] = None,
    after: After = 0,
    limit: Limit = 20,
) -> Page[SampleView]:
    """List sampled prompts with their completions, rewards by part and advantages."""
    job = jobs.get(session, caller.project_id, job_id)
    found = samples.read_samples(
        session,
        job.id,
        step=step,
        outcomes=outcome.split(",") if outcome else None,
        after=after,
        limit=limit + 1,
    )
    return page(
        request,
        response,
        found,
        limit,
        view=SampleView.of,
        cursor=lambda row: str(row.seq),
    )


@router.get("/metrics", responses=problems(404))
def read_metrics(
    job_id: JobId,
    caller: Reader,
    session: ReadingSession,
    names: Names = None,
    from_step: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    max_points: Annotated[
        int, Query(ge=2, le=10_000, description="Maximum number of points per curve.")
    ] = 1000,
) -> Metrics:
    """Return the curves of the live steps."""
    job = jobs.get(session, caller.project_id, job_id)
    curves = metrics.read_metrics(
        session,
        job.id,
        names=listed_names(names),
        from_step=from_step,
        max_points=max_points,
    )
    return Metrics(
        metrics={
            name: Curve(step=[step for step, _ in points], value=[value for _, value in points])
            for name, points in curves.items()
        }
    )
