"""`duet submit`: queue a job."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from duet.connection import Key, Url, connect
from duet.spec_file import Settings, read_spec, with_settings, with_uploads
from duet.terminal.output import AsJson, print_json, say, tell
from duet.terminal.plain import plain
from duet.terminal.watch import follow_to_the_end


def submit(
    spec: Annotated[Path, typer.Argument(help="The job's spec: YAML or JSON.")],
    settings: Settings = None,
    follow: Annotated[
        bool, typer.Option("--watch", help="Show its progress; exit code 1 unless it succeeds.")
    ] = False,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Queue a job and print its id.

    Data files next to the spec (`data: {train: problems.jsonl}`) are uploaded first.  As in
    `duet submit spec.yaml --set algorithm.group_size=16 --set rewards.0.weight=2`.
    """
    wanted = with_settings(read_spec(spec), settings)
    with connect(url, key) as client:
        job = client.jobs.create(with_uploads(client, wanted, folder=spec.parent))
        if not as_json:
            say(job.id)
        if follow:
            job = follow_to_the_end(client, job, sys.stderr if as_json else sys.stdout)
        elif not as_json:
            tell(plain(f"{job.name}: {job.status}; follow it with `duet watch {job.id}`"))
    if as_json:
        print_json(job)
