"""Sweeps: jobs that differ in some fields of their specs."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.base import View
from api.schemas.jobs import Label, LabelValue, Progress
from api.schemas.paging import NO_NUL
from api.schemas.spec_fields import leaves
from grpo.validation.results import Estimate
from store import ids
from store.jobs.sweeps import SweepSummary
from store.states import Status
from store.tables import Job

MAX_JOBS = 64

FieldPath = Annotated[str, Field(min_length=1, max_length=200)]


class NewSweep(BaseModel):
    """Several jobs: either all are queued or none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: dict[str, Any] = Field(default={}, description="The spec (JobSpec) that all jobs share.")
    variants: list[dict[str, Any]] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_JOBS,
        description="One job each: the fields of the spec that differ.",
    )
    grid: dict[FieldPath, list[Any]] | None = Field(
        default=None,
        max_length=100,
        description="In place of variants: one job for each combination of these values, as in "
        f'{{"algorithm.group_size": [2, 4], "seed": [0, 1]}}; at most {MAX_JOBS}.',
    )
    name: Annotated[str, Field(min_length=1, max_length=100, pattern=NO_NUL)] | None = Field(
        default=None, description="Prefix of the jobs' names; by default the base's name."
    )
    labels: dict[Label, LabelValue] = Field(
        default={},
        max_length=49,
        description="Labels of each job, in addition to `sweep`, the sweep's id.",
    )


class SweepJob(View):
    """One of a sweep's jobs."""

    id: str
    name: str
    status: Status
    status_reason: str
    progress: Progress
    differs: dict[str, Any] = Field(
        description="The fields of its resolved spec that are not the same in all jobs, by "
        "dotted path."
    )
    metric: str = Field(description="The spec's evaluation.metric.")
    value: float | None = Field(description="The metric's last value; null: none yet.")

    @classmethod
    def of(cls, job: Job, fields: dict[str, Any]) -> Self:
        metric = job.spec["evaluation"]["metric"]
        return cls(
            id=ids.encode("job", job.id),
            name=job.name,
            status=job.status,
            status_reason=job.status_reason,
            progress=Progress.of(job),
            differs=fields,
            metric=metric,
            value=job.latest_metrics.get(metric),
        )


class SweepView(View):
    """Jobs that were submitted together and still have the sweep's id as their label `sweep`."""

    id: str
    jobs: list[SweepJob]

    @classmethod
    def of(cls, sweep_id: str, jobs: Sequence[Job]) -> Self:
        own = _differing([job.spec for job in jobs])
        return cls(
            id=sweep_id,
            jobs=[SweepJob.of(job, fields) for job, fields in zip(jobs, own, strict=True)],
        )


class SweepSummaryView(View):
    """A sweep in the list of sweeps."""

    id: str
    name: str = Field(description="Name of its first job.")
    created_at: datetime
    jobs: dict[Status, int] = Field(description="Number of its jobs by status.")

    @classmethod
    def of(cls, sweep: SweepSummary) -> Self:
        return cls(
            id=ids.encode("swp", sweep.id),
            name=sweep.name,
            created_at=sweep.created_at,
            jobs=dict(sweep.statuses),
        )


class SweepEstimate(View):
    """The result of `validate_only` for a sweep."""

    jobs: list[Estimate]


def _differing(specs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each spec's fields that are not the same in all, except names and labels."""
    fields = [{".".join(path): value for path, value in leaves(spec)} for spec in specs]
    names = sorted({name for each in fields for name in each})
    differ = [
        name
        for name in names
        if name.partition(".")[0] not in ("name", "labels")
        and len({json.dumps(each.get(name), sort_keys=True) for each in fields}) > 1
    ]
    return [{name: each.get(name) for name in differ} for each in fields]
