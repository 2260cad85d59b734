"""`duet jobs`: the newest jobs."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from duet.connection import Key, Url, connect
from duet.objects import Job


def jobs(
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many.")] = 20,
    url: Url = None,
    key: Key = None,
) -> None:
    """List the newest jobs."""
    with connect(url, key) as client:
        found = client.jobs(limit=limit)
    if not found:
        print("No jobs yet: `duet submit examples/arithmetic.yaml` makes one.")
        return
    now = datetime.now(UTC)
    Console(highlight=False).print(jobs_table([_row(job, now) for job in found]))


def jobs_table(rows: Sequence[tuple[str, ...]]) -> Table:
    """In a narrow terminal only the name gives way: an id must stay whole to be copied."""
    table = Table(box=None, pad_edge=False)
    for name in ("id", "status", "step", "age"):
        table.add_column(name, no_wrap=True)
    table.add_column("name")
    for row in rows:
        table.add_row(*row)
    return table


def _row(job: Job, now: datetime) -> tuple[str, ...]:
    age = _age((now - job.created_at).total_seconds())
    return job.id, _status(job), _steps(job), age, job.name


def _status(job: Job) -> str:
    return f"queued #{job.queue.position}" if job.queue else job.status


def _steps(job: Job) -> str:
    return f"{job.progress.step or 0}/{job.progress.total_steps or '?'}"


def _age(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{int(seconds)}s"
