"""`duet delete`: remove an ended job."""

from duet.connection import JobId, Key, Url, connect
from duet.terminal.confirm import Yes, confirm
from duet.terminal.output import AsJson, print_done


def delete(
    job: JobId, yes: Yes = False, as_json: AsJson = False, url: Url = None, key: Key = None
) -> None:
    """Permanently delete an ended job with its log and checkpoints; data files are kept."""
    with connect(url, key) as client:
        if not yes:
            found = client.jobs.get(job)
            saved = len(list(client.checkpoints.list(job)))
            what = f"{found.id} ({found.name}) with its log and {saved} checkpoints"
            confirm(f"delete {what} permanently", yes=yes)
        client.jobs.delete(job)
    print_done(job, "deleted", as_json=as_json)
