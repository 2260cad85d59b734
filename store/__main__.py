"""`python -m store migrate`, `create-key` and `set-quota`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, get_args

import typer
from sqlalchemy.exc import OperationalError

from store.access import keys, projects
from store.database import Database
from store.errors import DatabaseUnusable, NotFound
from store.schema import migrate as migrate_schema
from store.settings import DatabaseSettings
from store.troubles import first_line

OPERATORS = "default"  # the project of whoever runs the server

app = typer.Typer(no_args_is_help=True, help="The database's upkeep; it is DATABASE_URL.")


@app.command()
def migrate() -> None:
    """Bring the database to this version."""
    settings = _settings()
    with _told():
        migrate_schema(settings.database_direct_url or settings.database_url)


@app.command("create-key")
def create_key(
    name: Annotated[str, typer.Option(help="Whose key, or what for.")],
    project: Annotated[
        str | None, typer.Option(help="Made if there is none; the operator's own: default.")
    ] = None,
    scopes: Annotated[
        str | None,
        typer.Option(help="By commas; else read,submit,admin, and server if no project is named."),
    ] = None,
) -> None:
    """Print a new API key.  It is shown this once."""
    if scopes is None:
        scopes = "read,submit,admin" + ("" if project else ",server")
    wanted = [scope.strip() for scope in scopes.split(",")]
    known = get_args(keys.Scope)
    if unknown := sorted(set(wanted) - set(known)):
        raise typer.BadParameter(f"there is no scope {unknown[0]!r}; there are {', '.join(known)}")
    database = Database.of(_settings())
    with _told(), database.session() as session:
        owner = keys.create_project(session, project or OPERATORS)
        _, plaintext = keys.create_key(session, owner, name, [s for s in known if s in wanted])
    print(plaintext)


@app.command("set-quota")
def set_quota(
    project: Annotated[str, typer.Argument(help="Its name.")],
    max_running: Annotated[int | None, typer.Option(min=0, help="Jobs at the same time.")] = None,
    max_queued: Annotated[int | None, typer.Option(min=0, help="Jobs that wait.")] = None,
    weight: Annotated[int, typer.Option(min=1, max=1000, help="Its share of the workers.")] = 1,
) -> None:
    """Limit a project's jobs.  What is not given has no limit, and the weight 1."""
    database = Database.of(_settings())
    quota = projects.Quota(max_running, max_queued, weight)
    try:
        with _told(), database.session() as session:
            projects.set_quota(session, project, quota)
    except NotFound:
        raise typer.BadParameter(f"there is no project {project!r}") from None
    more = f", weight {weight}" if weight != 1 else ""
    print(f"{project}: {_shown(max_running)} running, {_shown(max_queued)} queued{more}")


def _shown(limit: int | None) -> str:
    return "any number" if limit is None else f"at most {limit}"


@contextmanager
def _told() -> Iterator[None]:
    """
    Raises:
        SystemExit: the database cannot be used, with why.
    """
    try:
        yield
    except (DatabaseUnusable, OperationalError) as error:
        raise SystemExit(f"the database cannot be used: {first_line(error)}") from None


def _settings() -> DatabaseSettings:
    return DatabaseSettings()  # pyright: ignore[reportCallIssue] - the environment fills it


if __name__ == "__main__":
    app()
