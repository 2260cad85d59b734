"""`duet job`: one job, and what has happened to it."""

from collections.abc import Iterator
from datetime import UTC, datetime

from duet.connection import JobId, Key, Url, connect
from duet.objects.job import Job
from duet.terminal.output import AsJson, age, print_json, print_lines


def job(job: JobId, as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """Tell where a job stands, what it waits for, and every change of its status."""
    with connect(url, key) as client:
        if as_json:
            print_json(client.read(f"/v1/jobs/{job}"))
            return
        found = client.jobs.get(job)
    print_lines(_lines(found, datetime.now(UTC)))


def _lines(job: Job, now: datetime) -> Iterator[str]:
    yield f"{job.id}  {job.name}"
    total = f" of {job.progress.total_steps}" if job.progress.total_steps else ""
    phase = f" ({job.phase})" if job.phase else ""
    yield f"{job.status}{phase} at step {job.progress.step or 0}{total}"
    if job.queue:
        waited = age((now - job.queue.since).total_seconds())
        yield f"waits for {job.queue.waiting_for}, {job.queue.place}, for {waited}"
    for moment in job.timeline:
        yield f"  {moment.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}  {moment.status}: {moment.reason}"
    if job.error:
        yield f"{job.error.code}: {job.error.message}"
        if job.error.hint:
            yield job.error.hint
