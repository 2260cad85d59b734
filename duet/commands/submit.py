"""`duet submit`: queue the job that a file describes."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from duet.client.sync.client import Client
from duet.client.sync.job_log import succeeded
from duet.commands.up import tell
from duet.connection import Key, Url, connect
from duet.errors import Refused
from duet.objects.job import Job
from duet.watch import watch


def submit(
    spec: Annotated[Path, typer.Argument(help="The job's spec: YAML or JSON.")],
    follow: Annotated[
        bool, typer.Option("--watch", help="Show its progress; exit code 1 unless it succeeds.")
    ] = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Queue a job and print its id.

    Data files that lie beside the spec (`data: {train: problems.jsonl}`) are uploaded first.
    """
    wanted = read_spec(spec)
    with connect(url, key) as client:
        job = client.jobs.create(with_uploads(client, wanted, folder=spec.parent))
        print(job.id, flush=True)
        if follow:
            follow_to_the_end(client, job)
        else:
            tell(f"{job.name}: {job.status}; follow it with `duet logs {job.id} --follow`")


def read_spec(path: Path) -> dict[str, Any]:
    """What the file says.

    Raises:
        Refused: it can not be read, or is no mapping.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Refused(f"can not read {path}: {error}") from error
    if not isinstance(content, dict):
        raise Refused(
            f"{path} is no spec: its top level must be a mapping such as `preset: 2-grpo`"
        )
    return content


def with_uploads(client: Client, spec: Mapping[str, Any], *, folder: Path) -> dict[str, Any]:
    """The spec with data files that exist in `folder` uploaded, each once, and their ids in place
    of paths."""
    data = spec.get("data")
    if not isinstance(data, dict):
        return dict(spec)
    ids: dict[Path, str] = {}

    def id_of(source: object) -> object:
        path = folder / source if isinstance(source, str) else folder
        if not path.is_file():
            return source
        if path not in ids:
            file = client.files.upload(path)
            tell(f"uploaded {path}: {file.num_rows} rows, {file.id}")
            ids[path] = file.id
        return ids[path]

    found = {name: _map_sources(data[name], id_of) for name in ("train", "eval") if name in data}
    return {**spec, "data": {**data, **found}}


def _map_sources(written: object, change: Callable[[object], object]) -> object:
    """`data.train` or `data.eval`, a source or a list of them, each source changed.  What is
    neither stays, for the server to refuse."""
    if not isinstance(written, list):
        return change(written)
    return [
        {**entry, "source": change(entry["source"])}
        if isinstance(entry, dict) and "source" in entry
        else entry
        for entry in written
    ]


def follow_to_the_end(client: Client, job: Job) -> Job:
    """Show a job's progress; the job when it has succeeded.

    Raises:
        JobFailed: it has not, with all that is known about why.
    """
    watch(client, job, sys.stdout)
    return succeeded(client.jobs.get(job.id))
