"""`duet fork`: a new job from a job's checkpoint."""

from pathlib import Path
from typing import Annotated

import typer

from duet.commands.checkpoint import chosen
from duet.connection import JobId, Key, Url, connect
from duet.spec_file import Settings, read_spec, with_settings, with_uploads
from duet.terminal.output import AsJson, print_json, say, tell
from duet.terminal.plain import plain


def fork(
    job: JobId,
    overrides: Annotated[
        Path | None, typer.Argument(help="Overrides of its spec: YAML or JSON.")
    ] = None,
    settings: Settings = None,
    step: Annotated[
        int | None, typer.Option(help="Use the checkpoint of this step, not the last.")
    ] = (None),
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Start a new job from a job's checkpoint and print its id.

    It starts with the checkpoint's weights, a fresh optimizer, and the old job's spec with the
    overrides.
    """
    written = with_settings({} if overrides is None else read_spec(overrides), settings)
    with connect(url, key) as client:
        checkpoint = chosen(list(client.checkpoints.list(job)), job, step)
        if overrides is not None:
            written = with_uploads(client, written, folder=overrides.parent)
        made = client.jobs.fork(job, checkpoint.id, overrides=written)
    if as_json:
        print_json(made)
        return
    say(made.id)
    tell(plain(f"{made.name}: {made.status_reason}"))
