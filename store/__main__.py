"""`python -m store migrate`, `create-key`, `set-quota` and `encrypt-secrets`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, get_args

import typer
from sqlalchemy.exc import OperationalError

from store.access import keys, project_secrets, projects
from store.database.database import Database
from store.database.schema import migrate as migrate_schema
from store.database.troubles import first_line
from store.errors import DatabaseUnusable, NotFound, SecretsKeyUnusable, SecretUnreadable
from store.security.encryption import VARIABLE, Cipher
from store.settings import DatabaseSettings

OPERATORS = "default"  # the operator's own project

app = typer.Typer(no_args_is_help=True, help="Maintain the database that DATABASE_URL names.")


@app.command()
def migrate() -> None:
    """Migrate the database to this version's schema."""
    settings = _settings()
    with _errors_shown():
        migrate_schema(settings.database_direct_url or settings.database_url)


@app.command("create-key")
def create_key(
    name: Annotated[str, typer.Option(help="Name of the key: its holder or its purpose.")],
    project: Annotated[
        str | None,
        typer.Option(help="The key's project, created if missing; default: the operator's own."),
    ] = None,
    scopes: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated; default: read,submit,admin, and server without --project."
        ),
    ] = None,
) -> None:
    """Create an API key and print it.  The key cannot be shown again."""
    if scopes is None:
        scopes = "read,submit,admin" + ("" if project else ",server")
    wanted = [scope.strip() for scope in scopes.split(",")]
    known = get_args(keys.Scope)
    if unknown := sorted(set(wanted) - set(known)):
        raise typer.BadParameter(f"unknown scope {unknown[0]!r}: the scopes are {', '.join(known)}")
    database = Database.of(_settings())
    with _errors_shown(), database.session() as session:
        owner = keys.create_project(session, project or OPERATORS)
        _, plaintext = keys.create_key(session, owner, name, [s for s in known if s in wanted])
    print(plaintext)


@app.command("set-quota")
def set_quota(
    project: Annotated[str, typer.Argument(help="The project's name.")],
    max_running: Annotated[int | None, typer.Option(min=0, help="Limit of running jobs.")] = None,
    max_queued: Annotated[int | None, typer.Option(min=0, help="Limit of queued jobs.")] = None,
    weight: Annotated[int, typer.Option(min=1, max=1000, help="Share of the workers.")] = 1,
) -> None:
    """Set a project's limits.  An omitted option means no limit, or weight 1."""
    database = Database.of(_settings())
    quota = projects.Quota(max_running, max_queued, weight)
    try:
        with _errors_shown(), database.session() as session:
            projects.set_quota(session, project, quota)
    except NotFound:
        raise typer.BadParameter(f"no project is named {project!r}") from None
    more = f", weight {weight}" if weight != 1 else ""
    print(f"{project}: {_shown(max_running)} running, {_shown(max_queued)} queued{more}")


@app.command("encrypt-secrets")
def encrypt_secrets() -> None:
    """Encrypt all projects' secrets with the first key of DUET_SECRETS_KEY; the others can then be
    removed."""
    settings = _settings()
    try:
        cipher = Cipher.of(settings)
        if cipher is None:
            raise SystemExit(f"{VARIABLE} is not set")
        with _errors_shown(), Database.of(settings).session() as session:
            number = project_secrets.encrypt_again(session, cipher)
    except (SecretsKeyUnusable, SecretUnreadable) as error:
        raise SystemExit(str(error)) from None
    print(f"{number} secrets")


def _shown(limit: int | None) -> str:
    return "any number" if limit is None else f"at most {limit}"


@contextmanager
def _errors_shown() -> Iterator[None]:
    """Turn errors of the database into a message and an exit.

    Raises:
        SystemExit: the database cannot be used; the message says why.
    """
    try:
        yield
    except (DatabaseUnusable, OperationalError) as error:
        raise SystemExit(f"the database cannot be used: {first_line(error)}") from None


def _settings() -> DatabaseSettings:
    return DatabaseSettings()  # pyright: ignore[reportCallIssue] - the environment fills it


if __name__ == "__main__":
    app()
