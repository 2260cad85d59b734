"""`duet job`: one job and its history."""

from collections.abc import Iterator
from datetime import UTC, datetime

from duet.connection import JobId, Key, Url, connect
from duet.objects.job import Job
from duet.terminal.moments import in_local_time, moment
from duet.terminal.output import AsJson, age, clock, print_json, print_lines
from duet.terminal.plain import barred


def job(job: JobId, as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """Show a job's state, the reason for its wait, and every change of its status."""
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
        cause = in_local_time(job.queue.waiting_for)
        yield f"waits for {cause}, {job.queue.place}, for {waited}"
    if ran := _ran_seconds(job, now):
        yield f"ran for {clock(ran)}"
    for change in job.timeline:
        yield f"  {moment(change.at)}  {change.status}: {in_local_time(change.reason)}"
    if job.error:
        yield from barred(f"{job.error.code}: {job.error.message}")
        if job.error.hint:
            yield job.error.hint


def _ran_seconds(job: Job, now: datetime) -> float:
    running = (now - job.running_since).total_seconds() if job.running_since else 0
    return job.ran_seconds + running
