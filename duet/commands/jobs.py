"""`duet jobs`: the newest jobs."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from duet.connection import Key, Url, connect
from duet.objects.job import Job
from duet.terminal.output import AsJson, age, print_list

NONE_YET = "No jobs yet: submit one with `duet submit examples/arithmetic.yaml`."


class Status(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Order(StrEnum):
    NEWEST = "-created_at"
    OLDEST = "created_at"
    NAME = "name"
    NAME_BACKWARDS = "-name"


def jobs(
    limit: Annotated[int, typer.Option(min=1, max=100, help="Number of jobs.")] = 20,
    status: Annotated[
        list[Status] | None, typer.Option(help="Only jobs in this state (repeatable).")
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="NAME:VALUE", help="Only jobs with this label.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Only jobs of this model.")] = None,
    text: Annotated[str | None, typer.Option(help="Only jobs with this text in the name.")] = None,
    sort: Annotated[Order, typer.Option(help="Order; `-` reverses it.")] = Order.NEWEST,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """List jobs, newest first."""
    with connect(url, key) as client:
        found = list(
            client.jobs.list(
                status=[each.value for each in status] if status else None,
                label=label,
                model=model,
                text=text,
                sort=sort.value,
                limit=limit,
            )
        )
    picked = status or label or model or text
    now = datetime.now(UTC)
    print_list(
        found,
        ["id", "status", "step", "age", "name"],
        [_row(job, now) for job in found],
        as_json=as_json,
        none="no matching jobs" if picked else NONE_YET,
    )


def _row(job: Job, now: datetime) -> tuple[str, ...]:
    submitted = age((now - job.created_at).total_seconds())
    return job.id, _status(job, now), _steps(job), submitted, job.name


def _status(job: Job, now: datetime) -> str:
    if not job.queue:
        return job.status
    return f"queued {job.queue.place} for {age((now - job.queue.since).total_seconds())}"


def _steps(job: Job) -> str:
    return f"{job.progress.step or 0}/{job.progress.total_steps or '?'}"
