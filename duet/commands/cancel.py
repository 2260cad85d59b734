"""`duet cancel`: end a job."""

from typing import Annotated

import typer

from duet.connection import JobId, Key, Url, connect
from duet.terminal.output import AsJson, print_answer


def cancel(
    job: JobId,
    kill: Annotated[
        bool, typer.Option("--kill", help="End it now, without finishing the step and saving.")
    ] = False,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """End a job: it finishes its step and saves a checkpoint first."""
    with connect(url, key) as client:
        now = client.jobs.cancel(job, kill=kill)
    how = "ends now" if kill else "finishes its step, saves and ends"
    print_answer(now, f"{now.id} is cancelled" if now.ended else f"{now.id} {how}", as_json=as_json)
