"""`duet watch`: a job's live progress."""

import sys

from duet.connection import JobId, Key, Url, connect
from duet.terminal.output import AsJson, print_json
from duet.terminal.watch import follow_to_the_end


def watch(job: JobId, as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """Show a job's progress and curves until it ends; exit code 1 unless it succeeds.

    Ctrl-C ends the view, not the job.
    """
    with connect(url, key) as client:
        out = sys.stderr if as_json else sys.stdout
        ended = follow_to_the_end(client, client.jobs.get(job), out, from_now=True)
    if as_json:
        print_json(ended)
