"""`duet delete`: remove an ended job."""

from duet.connection import JobId, Key, Url, connect
from duet.terminal.output import AsJson, print_done


def delete(job: JobId, as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """Remove an ended job with its log, checkpoints and files, for good."""
    with connect(url, key) as client:
        client.jobs.delete(job)
    print_done(job, "deleted", as_json=as_json)
