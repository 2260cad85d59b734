"""Comparison of several jobs."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query

from api.dependencies.auth import Reader
from api.dependencies.path_ids import decoded
from api.dependencies.transaction import RequestSession
from api.errors.problems import FieldProblem, Problem
from api.errors.responses import problems
from api.schemas.compare import ComparedJob, Comparison, Measured
from api.schemas.paging import NO_NUL
from grpo.values.field_errors import matching
from store import ids
from store.jobs import jobs
from store.log import curve_by_cost
from store.log.curve_by_cost import Axis
from store.tables import Job

router = APIRouter(prefix="/compare", tags=["jobs"])

MOST_JOBS = 16
ID = r"job_[0-9a-f]{32}"


@router.get("", responses=problems(404))
def compare_jobs(
    caller: Reader,
    session: RequestSession,
    job_ids: Annotated[
        str,
        Query(
            alias="jobs",
            description=f"Job ids, separated by commas, at most {MOST_JOBS}.",
            pattern=matching(
                rf"^{ID}(,{ID}){{0,{MOST_JOBS - 1}}}$",
                f"must be 1 to {MOST_JOBS} job ids, job_..., separated by commas",
            ),
        ),
    ],
    metric: Annotated[str, Query(min_length=1, max_length=200, pattern=NO_NUL)] = "eval/accuracy",
    x: Annotated[Axis, Query(description="Horizontal axis of the curves.")] = "step",
    baseline: Annotated[
        str | None,
        Query(description="One of the jobs; default: the one of the largest group size."),
    ] = None,
    max_points: Annotated[
        int, Query(ge=2, le=10_000, description="Maximum number of points per curve.")
    ] = 1000,
) -> Comparison:
    """Curves of several jobs on one axis, with each job's score and cost relative to a baseline."""
    names = _names(job_ids, baseline)
    found = [jobs.get(session, caller.project_id, decoded("job", "job", name)) for name in names]
    points = {
        job.id: curve_by_cost.measured_points(session, job, metric, max_points=max_points)
        for job in found
    }
    base = _largest_group(found) if baseline is None else found[names.index(baseline)]
    account = Measured.of(points[base.id])
    return Comparison(
        metric=metric,
        x=x,
        baseline=ids.encode("job", base.id),
        jobs=[ComparedJob.of(job, points[job.id], x, account) for job in found],
    )


def _names(job_ids: str, baseline: str | None) -> list[str]:
    """The ids without repetitions.

    Raises:
        Problem: 422, the baseline is not one of them.
    """
    names = list(dict.fromkeys(job_ids.split(",")))
    if baseline is not None and baseline not in names:
        detail = "must be one of `jobs`"
        error = FieldProblem(detail=detail, parameter="baseline")
        raise Problem(422, "invalid_request", f"baseline: {detail}", errors=[error])
    return names


def _largest_group(found: Sequence[Job]) -> Job:
    return max(found, key=lambda job: job.spec["algorithm"]["group_size"])
