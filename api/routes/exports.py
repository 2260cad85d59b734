"""Exports of a run for other tools: metrics and preference pairs."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from api.dependencies.auth import Reader
from api.dependencies.path_ids import JobId
from api.dependencies.services import FromServices
from api.dependencies.transaction import RequestSession
from api.downloads.lines import CSV, JSONL, LinesResponse
from api.errors.responses import problems
from api.schemas.paging import Names, listed_names
from grpo.reporting.preference_pairs import pairs_in
from store import ids
from store.artifacts.artifacts import Artifacts
from store.database.database import Database
from store.jobs import jobs
from store.log import curves, metric_rows, rollout_files
from store.log.metric_rows import MetricRow

router = APIRouter(prefix="/jobs/{job}", tags=["log"])


@dataclass(frozen=True)
class _MetricTable:
    """One row per step, one column per metric."""

    job: str
    names: list[str]
    rows: Iterator[MetricRow]


def _metric_table(
    job_id: JobId,
    caller: Reader,
    session: RequestSession,
    services: FromServices,
    names: Names = None,
    from_step: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    max_points: Annotated[
        int | None,
        Query(
            ge=2,
            le=10_000,
            description="Maximum number of points per curve, thinned as in `/metrics`; default: "
            "every step.",
        ),
    ] = None,
) -> _MetricTable:
    job = jobs.get(session, caller.project_id, job_id)
    requested = listed_names(names)
    wanted = (
        metric_rows.names(session, job.id, from_step=from_step) if requested is None else requested
    )
    rows = (
        _every_row(services.database, job.id, wanted, from_step)
        if max_points is None
        else metric_rows.of_curves(
            curves.read_metrics(
                session, job.id, names=wanted, from_step=from_step, max_points=max_points
            )
        )
    )
    return _MetricTable(ids.encode("job", job.id), wanted, rows)


MetricTable = Annotated[_MetricTable, Depends(_metric_table)]


def _file_of(media_type: str, what: str) -> dict[int | str, dict[str, Any]]:
    content = {media_type: {"schema": {"type": "string"}}}
    return {200: {"description": what, "content": content}, **problems(404)}


@router.get(
    "/metrics.csv",
    response_class=StreamingResponse,
    responses=_file_of(
        CSV, "One row per step, one column per metric; empty where a step lacks a metric."
    ),
)
def export_metrics_as_csv(table: MetricTable) -> LinesResponse:
    """Export the curves of the live steps as CSV, streamed."""
    head = _csv_line(["step", *table.names])
    rows = (
        _csv_line([step, *(values.get(name) for name in table.names)])
        for step, values in table.rows
    )
    return LinesResponse(chain([head], rows), name=f"{table.job}-metrics.csv", media_type=CSV)


@router.get(
    "/metrics.jsonl",
    response_class=StreamingResponse,
    responses=_file_of(
        JSONL, "One JSON object per step: `step`, and each metric that the step has."
    ),
)
def export_metrics_as_jsonl(table: MetricTable) -> LinesResponse:
    """Export the curves of the live steps as JSON lines, streamed."""
    lines = (_json_line({"step": step, **values}) for step, values in table.rows)
    return LinesResponse(lines, name=f"{table.job}-metrics.jsonl", media_type=JSONL)


@router.get(
    "/pairs.jsonl",
    response_class=StreamingResponse,
    responses=_file_of(
        JSONL,
        "One JSON object per pair: `prompt`, `chosen`, `rejected` as chat messages, and more.",
    ),
)
def export_pairs(
    job_id: JobId, caller: Reader, session: RequestSession, services: FromServices
) -> LinesResponse:
    """Export preference pairs for DPO: the best and the worst completion of every group with
    unequal rewards, in step order, in TRL's conversational preference format. Empty for a job
    without rollouts."""
    job = jobs.get(session, caller.project_id, job_id)
    keys = rollout_files.live_keys(session, services.artifacts, job.id)
    name = f"{ids.encode('job', job.id)}-pairs.jsonl"
    return LinesResponse(_pairs(services.artifacts, keys), name=name, media_type=JSONL)


def _pairs(artifacts: Artifacts, keys: Sequence[str]) -> Iterator[str]:
    for key in keys:
        with closing(artifacts.open(key)) as file:
            yield from map(_json_line, pairs_in(file))


def _every_row(
    database: Database, job_id: UUID, names: Sequence[str], from_step: int
) -> Iterator[MetricRow]:
    """Read window by window, each in its own transaction: a slow client keeps none open."""
    start: int | None = from_step
    while start is not None:
        with database.session() as session:
            rows, start = metric_rows.read_window(session, job_id, names, from_step=start)
        yield from rows


def _csv_line(cells: Sequence[object]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()


def _json_line(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"
