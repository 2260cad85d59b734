"""`duet queue`: the queues and their estimated waits."""

from duet.connection import Key, Url, connect
from duet.objects.fleet import JobQueue
from duet.terminal.output import AsJson, age, print_list

COLUMNS = ("queued", "running", "free", "wait", "queue")


def queue(as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """Show each queue: queued and running jobs, free slots, and the estimated wait of a new job."""
    with connect(url, key) as client:
        found = client.queues()
    print_list(found, COLUMNS, map(_row, found), as_json=as_json, numbers=COLUMNS[:-1])


def _row(queue: JobQueue) -> list[str]:
    wait = "?" if queue.wait_seconds is None else age(queue.wait_seconds)
    free = f"{queue.free_slots}/{queue.slots}"
    return [str(queue.queued), str(queue.running), free, wait, queue.name]
