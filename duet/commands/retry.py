"""`duet retry`: take up an ended job again."""

from duet.commands.up import tell
from duet.connection import JobId, Key, Url, connect


def retry(job: JobId, url: Url = None, key: Key = None) -> None:
    """Take an ended job up again and print the new one's id.

    The new job goes on from the last checkpoint of the old one.
    """
    with connect(url, key) as client:
        made = client.jobs.retry(job)
    print(made.id, flush=True)
    tell(f"{made.name}: {made.status_reason}")
