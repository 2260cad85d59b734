"""`duet delete`: remove an ended job."""

from duet.connection import JobId, Key, Url, connect


def delete(job: JobId, url: Url = None, key: Key = None) -> None:
    """Remove an ended job with its log, checkpoints and files, for good."""
    with connect(url, key) as client:
        client.jobs.delete(job)
    print(f"{job} is deleted")
