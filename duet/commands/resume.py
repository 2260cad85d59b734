"""`duet resume`: resume a paused job."""

from duet.connection import JobId, Key, Url, connect
from duet.terminal.output import AsJson, print_json, say


def resume(job: JobId, as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """Resume a paused job: it is queued last, then continues from its checkpoint."""
    with connect(url, key) as client:
        now = client.jobs.resume(job)
    if as_json:
        print_json(now)
        return
    place = f" {now.queue.place}" if now.queue else ""
    say(f"{now.id} is {now.status}{place}")
