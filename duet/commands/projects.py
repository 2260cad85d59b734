"""`duet projects`: a server's projects, each with its own jobs, files and keys."""

from collections.abc import Iterator
from typing import Annotated

import typer

from duet.commands.keys import Scope
from duet.connection import Key, Url, connect
from duet.errors import Refused
from duet.objects.access import Project
from duet.terminal.output import AsJson, print_json, print_json_list, print_lines, say, tell

NO_LIMIT = "none"

Running = Annotated[
    str | None,
    typer.Option("--max-running", metavar="N|none", help="Limit of running jobs."),
]
Queued = Annotated[
    str | None, typer.Option("--max-queued", metavar="N|none", help="Limit of queued jobs.")
]
Weight = Annotated[
    int | None,
    typer.Option(min=1, max=1000, help="Share of the workers, relative to a project of weight 1."),
]

app = typer.Typer(
    help="A server's projects, each with its own jobs, files and keys (scope `server`)."
)


@app.callback(invoke_without_command=True)
def projects(
    context: typer.Context, as_json: AsJson = False, url: Url = None, key: Key = None
) -> None:
    """List every project of the server, newest first."""
    if context.invoked_subcommand is not None:
        return
    with connect(url, key) as client:
        found = list(client.projects.list())
    if as_json:
        print_json_list(found)
    else:
        _print(found)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Its name.")],
    max_running: Running = None,
    max_queued: Queued = None,
    weight: Weight = None,
    scope: Annotated[
        list[Scope] | None,
        typer.Option(help="Scope of its first key (repeatable); default: read and submit."),
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Create a project and print its first key, which is shown only once."""
    with connect(url, key) as client:
        made = client.projects.create(
            name,
            scopes=[each.value for each in scope] if scope else None,
            max_running=_limit("--max-running", max_running, None),
            max_queued=_limit("--max-queued", max_queued, None),
            weight=weight,
        )
    if as_json:
        print_json(made)
        return
    say(made.key.key)
    tell(f"the first key of {made.project.id}: store it now, it is not shown again")


@app.command()
def quota(
    project: Annotated[
        str, typer.Argument(metavar="PROJECT", help="Its id, as `duet projects` lists it.")
    ],
    max_running: Running = None,
    max_queued: Queued = None,
    weight: Weight = None,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Limit a project's jobs, or set its share of the workers; other values are kept."""
    if max_running is None and max_queued is None and weight is None:
        raise Refused("nothing to change: give --max-running, --max-queued or --weight")
    with connect(url, key) as client:
        found = {each.id: each for each in client.projects.list()}
        if project not in found:
            raise Refused(f"project {project} does not exist: `duet projects` lists them")
        before = found[project]
        now = client.projects.set_quota(
            project,
            max_running=_limit("--max-running", max_running, before.max_running),
            max_queued=_limit("--max-queued", max_queued, before.max_queued),
            weight=before.weight if weight is None else weight,
        )
    if as_json:
        print_json(now)
    else:
        _print([now])


def _limit(option: str, written: str | None, before: int | None) -> int | None:
    if written is None:
        return before
    if written == NO_LIMIT:
        return None
    if not written.isdecimal():
        raise Refused(f"{option} {written}: write a number, or `{NO_LIMIT}`")
    return int(written)


def _print(found: list[Project]) -> None:
    print_lines(line for project in found for line in _lines(project))


def _lines(project: Project) -> Iterator[str]:
    yield f"{project.id}  {project.name}"
    limits = f"{_said(project.max_running)} running, {_said(project.max_queued)} queued"
    yield f"  {limits}, weight {project.weight}" if project.weight != 1 else f"  {limits}"


def _said(limit: int | None) -> str:
    return "any number" if limit is None else f"at most {limit:,}"
