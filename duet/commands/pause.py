"""`duet pause`: pause a job."""

from duet.connection import JobId, Key, Url, connect
from duet.terminal.output import AsJson, print_answer


def pause(job: JobId, as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """Pause a job: a running one finishes its step and saves a checkpoint first."""
    with connect(url, key) as client:
        now = client.jobs.pause(job)
    how = "is paused" if now.status == "paused" else "finishes its step, saves"
    print_answer(now, f"{now.id} {how}", as_json=as_json)
