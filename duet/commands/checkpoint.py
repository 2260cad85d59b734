"""`duet checkpoint`: a job's checkpoints, their download and removal."""

from pathlib import Path
from typing import Annotated

import typer

from duet.client.sync.client import Client
from duet.connection import Force, JobId, Key, Url, connect
from duet.errors import Refused
from duet.objects.checkpoint import Checkpoint
from duet.terminal.confirm import Yes, confirm
from duet.terminal.output import AsJson, moving, print_answer, print_done, print_json, say
from duet.terminal.plain import plain


def checkpoint(
    job: JobId,
    download: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Download the last one into this folder.")
    ] = None,
    step: Annotated[
        int | None, typer.Option(help="Use the checkpoint of this step, not the last.")
    ] = None,
    delete: Annotated[
        bool, typer.Option("--delete", help="Permanently delete the checkpoint of --step.")
    ] = False,
    yes: Yes = False,
    force: Force = False,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """List a job's checkpoints, or download one: a model folder for transformers and vLLM."""
    if delete and (step is None or download is not None):
        raise Refused("--delete needs --step and cannot be combined with --download")
    with connect(url, key) as client:
        if download is None and not delete:
            _print_list(client, job, as_json=as_json)
            return
        wanted = chosen(list(client.checkpoints.list(job)), job, step)
        if download is None:
            confirm(f"delete {wanted.id}, step {wanted.step} of {job} permanently", yes=yes)
            client.checkpoints.delete(wanted.id)
            print_done(wanted.id, "deleted", as_json=as_json)
            return
        with moving(f"step {wanted.step}") as progress:
            client.checkpoints.download(wanted.id, download, progress=progress, force=force)
    fetched = f"step {wanted.step}, {wanted.bytes / 1e6:.1f} MB: {download}"
    print_answer(wanted, fetched, as_json=as_json)


def _print_list(client: Client, job: str, *, as_json: bool) -> None:
    if as_json:
        print_json(client.read(f"/v1/jobs/{job}/checkpoints", limit=100))
        return
    found = client.checkpoints.list(job)
    say("\n".join(plain(_line(item)) for item in found) or "none yet")


def _line(item: Checkpoint) -> str:
    final = "  final" if item.final else ""
    return f"{item.id}  step {item.step:>6}  {item.bytes / 1e6:>9.1f} MB{final}"


def chosen(found: list[Checkpoint], job: str, step: int | None) -> Checkpoint:
    """Find the checkpoint of a step; None: the last.

    Raises:
        Refused: there is no such checkpoint.
    """
    if not found:
        raise Refused(f"{job} has no checkpoint yet")
    if step is None:
        return found[-1]
    for item in found:
        if item.step == step:
            return item
    steps = ", ".join(str(item.step) for item in found)
    raise Refused(f"{job} has no checkpoint of step {step}; available: {steps}")
