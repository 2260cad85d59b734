"""`duet keys`: the API keys of your project."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from duet.connection import Key, Url, connect
from duet.objects.access import Key as ListedKey
from duet.objects.access import NewKey
from duet.terminal.confirm import Yes, confirm
from duet.terminal.output import AsJson, age, print_done, print_json, print_list, say, tell

KeyId = Annotated[str, typer.Argument(metavar="KEY", help="Its id, as `duet keys` lists it.")]


class Scope(StrEnum):
    READ = "read"
    SUBMIT = "submit"
    ADMIN = "admin"
    SERVER = "server"


app = typer.Typer(help="The API keys of your project.")


@app.callback(invoke_without_command=True)
def keys(context: typer.Context, as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """List the project's keys, revoked ones too."""
    if context.invoked_subcommand is not None:
        return
    with connect(url, key) as client:
        found = list(client.keys.list())
    now = datetime.now(UTC)
    rows = [[each.id, _state(each, now), ",".join(each.scopes), each.name] for each in found]
    print_list(found, ["id", "state", "may", "name"], rows, as_json=as_json)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Name, such as its owner or use.")],
    scope: Annotated[
        list[Scope] | None, typer.Option(help="Scope to grant (repeatable); default: read.")
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Create a key and print it; it is shown only once."""
    scopes = [each.value for each in scope or (Scope.READ,)]
    with connect(url, key) as client:
        _print(client.keys.create(name, scopes=scopes), as_json=as_json)


@app.command()
def rotate(
    key_id: KeyId,
    overlap_seconds: Annotated[
        int | None, typer.Option(help="How long the old key stays valid; default: a day.")
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Create a key's successor and print it; it is shown only once."""
    with connect(url, key) as client:
        made = client.keys.rotate(key_id, overlap_seconds=overlap_seconds)
    _print(made, as_json=as_json)


@app.command()
def revoke(
    key_id: KeyId, yes: Yes = False, as_json: AsJson = False, url: Url = None, key: Key = None
) -> None:
    """Revoke a key, with immediate effect."""
    confirm(f"revoke {key_id} permanently", yes=yes)
    with connect(url, key) as client:
        client.keys.revoke(key_id)
    print_done(key_id, "revoked", as_json=as_json)


def _print(made: NewKey, *, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    say(made.key)
    tell(f"{made.id} ({', '.join(made.scopes)}): store it now, it is not shown again")


def _state(key: ListedKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None:
        left = (key.expires_at - now).total_seconds()
        return f"ends in {age(left)}" if left > 0 else "ended"
    if key.last_used_at is None:
        return "unused"
    return f"used {age((now - key.last_used_at).total_seconds())} ago"
