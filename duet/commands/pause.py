"""`duet pause`: pause a job."""

from duet.connection import JobId, Key, Url, connect
from duet.terminal.output import AsJson, print_json, say


def pause(job: JobId, as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """Pause a job: a running one finishes its step and saves a checkpoint first."""
    with connect(url, key) as client:
        now = client.jobs.pause(job)
    if as_json:
        print_json(now)
        return
    say(f"{now.id} is paused" if now.status == "paused" else f"{now.id} finishes its step, saves")
