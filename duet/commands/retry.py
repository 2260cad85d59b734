"""`duet retry`: retry an ended job."""

from duet.connection import JobId, Key, Url, connect
from duet.terminal.output import AsJson, print_json, say, tell
from duet.terminal.plain import plain


def retry(job: JobId, as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """Retry an ended job and print the new one's id.

    The new job resumes from the old job's last checkpoint.
    """
    with connect(url, key) as client:
        made = client.jobs.retry(job)
    if as_json:
        print_json(made)
        return
    say(made.id)
    tell(plain(f"{made.name}: {made.status_reason}"))
