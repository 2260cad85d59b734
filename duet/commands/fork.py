"""`duet fork`: a new job from a job's checkpoint."""

from pathlib import Path
from typing import Annotated

import typer

from duet.commands.checkpoint import chosen
from duet.commands.submit import read_spec, with_uploads
from duet.commands.up import tell
from duet.connection import JobId, Key, Url, connect


def fork(
    job: JobId,
    overrides: Annotated[
        Path | None, typer.Argument(help="What of its spec differs: YAML or JSON.")
    ] = None,
    step: Annotated[int | None, typer.Option(help="Its checkpoint of this step, not the last.")] = (
        None
    ),
    url: Url = None,
    key: Key = None,
) -> None:
    """Start a new job from a job's checkpoint and print its id.

    It has the weights, a fresh optimizer, and the old job's spec but for the overrides.
    """
    written = {} if overrides is None else read_spec(overrides)
    with connect(url, key) as client:
        checkpoint = chosen(list(client.checkpoints.list(job)), job, step)
        if overrides is not None:
            written = with_uploads(client, written, folder=overrides.parent)
        made = client.jobs.fork(job, checkpoint.id, overrides=written)
    print(made.id, flush=True)
    tell(f"{made.name}: {made.status_reason}")
