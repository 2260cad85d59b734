"""`duet logs`: the output of a job's trainer."""

import time
from typing import Annotated

import typer

from duet.client.sync.client import Client
from duet.client.sync.job_log import succeeded
from duet.connection import JobId, Key, Url, connect
from duet.objects.job import Job
from duet.terminal.output import say, tell
from duet.terminal.watch import waiting_line

POLL_SECONDS = 1.0


def logs(
    job: JobId,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Keep printing until the job ends.")
    ] = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Print the trainer's output in a job's last attempt."""
    with connect(url, key) as client:
        if follow:
            succeeded(_follow(client, job))
        else:
            say(client.jobs.logs(job), end="")


def _follow(client: Client, job_id: str) -> Job:
    """Print the log as it grows; return the ended job.  A new attempt starts a new log."""
    seen, waiting = "", ""
    while True:
        job = client.jobs.get(job_id)
        if job.queue and job.queue.waiting_for != waiting:
            waiting = job.queue.waiting_for
            tell(waiting_line(job))
        text = client.jobs.logs(job_id)
        say(text[len(seen) :] if text.startswith(seen) else text, end="")
        seen = text
        if job.ended:
            return job
        time.sleep(POLL_SECONDS)
