"""`duet resume`: resume a paused job."""

from duet.connection import JobId, Key, Url, connect
from duet.terminal.output import AsJson, print_answer


def resume(job: JobId, as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """Resume a paused job: it goes to the end of the queue, then resumes from its checkpoint."""
    with connect(url, key) as client:
        now = client.jobs.resume(job)
    place = f" {now.queue.place}" if now.queue else ""
    print_answer(now, f"{now.id} is {now.status}{place}", as_json=as_json)
