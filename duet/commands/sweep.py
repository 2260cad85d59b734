"""`duet sweep`: queue several jobs that differ in some fields of one spec."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from duet.connection import Key, Url, connect
from duet.errors import Refused
from duet.plain_yaml import load_yaml
from duet.spec_file import Settings, errors_of_the_file, read_spec, with_settings, with_uploads
from duet.terminal.output import AsJson, print_json, say, tell
from duet.terminal.plain import plain


def sweep(
    spec: Annotated[Path, typer.Argument(help="The spec that all jobs share: YAML or JSON.")],
    grid: Annotated[
        list[str],
        typer.Option(
            metavar="FIELD=VALUE,VALUE,...",
            help="A field by its dotted path, and its values; repeatable: a job is queued for "
            "every combination.",
        ),
    ],
    settings: Settings = None,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Queue a job for each value of a field, and print the ids of the sweep and its jobs.

    As in `duet sweep spec.yaml --grid algorithm.group_size=2,4,8,16`.  Either all jobs are queued
    or none.
    """
    values = read_grid(grid)
    base = with_settings(read_spec(spec), settings)
    with connect(url, key) as client, errors_of_the_file(sent_at="/base"):
        made = client.sweeps.create(with_uploads(client, base, folder=spec.parent), grid=values)
    if as_json:
        print_json(made)
        return
    say(made.id)
    for job in made.jobs:
        say(job.id)
        tell(plain(f"{job.id} is {job.name}"))
    tell(f"{len(made.jobs)} jobs queued; `duet sweeps status {made.id}` shows their progress")


def read_grid(written: Sequence[str]) -> dict[str, list[Any]]:
    """Parse `FIELD=VALUE,VALUE,...` into fields and values, each value as YAML.

    Raises:
        Refused: the form is invalid, or a field is repeated.
    """
    grid: dict[str, list[Any]] = {}
    for one in written:
        field, equals, values = one.partition("=")
        if not (field and equals and values) or field in grid:
            raise Refused(f"--grid {one}: write FIELD=VALUE,VALUE,..., each field once")
        try:
            grid[field] = load_yaml(f"[{values}]")
        except yaml.YAMLError as error:
            raise Refused(f"--grid {one}: invalid values: {error}") from error
    return grid
