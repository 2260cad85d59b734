"""`duet secrets`: values that only the project's jobs use, such as a hub token."""

import sys
from datetime import UTC, datetime
from getpass import getpass
from typing import Annotated

import typer

from duet.connection import Key, Url, connect
from duet.errors import Refused
from duet.terminal.confirm import Yes, confirm
from duet.terminal.output import AsJson, age, print_answer, print_done, print_list
from duet.terminal.plain import plain

MOST_CHARACTERS = 8192
Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Capitals, digits and underscores, e.g. HF_TOKEN."),
]

app = typer.Typer(
    no_args_is_help=True, help="Secrets that only the project's jobs use, such as HF_TOKEN."
)


@app.command("set")
def set_(
    name: Name,
    host: Annotated[
        str | None,
        typer.Option(
            help="Host to which rewards may send it as a key, with its port unless that is 443: "
            "api.openai.com or grader.internal:8000."
        ),
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Set a secret: the value is read from standard input, or from a hidden prompt on a
    terminal."""
    value = _value(name)
    with connect(url, key) as client:
        secret = client.secrets.set(name, value, host=host)
    print_answer(secret, f"{plain(secret.name)} is set", as_json=as_json)


@app.command("list")
def list_(as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """List the names of the secrets; their values are never shown."""
    with connect(url, key) as client:
        found = client.secrets.list()
    now = datetime.now(UTC)
    rows = [
        [each.name, each.host or "", f"{age((now - each.updated_at).total_seconds())} ago"]
        for each in found
    ]
    print_list(found, ["name", "sent to", "set"], rows, as_json=as_json, none="none yet")


@app.command()
def delete(
    name: Name, yes: Yes = False, as_json: AsJson = False, url: Url = None, key: Key = None
) -> None:
    """Delete a secret."""
    confirm(f"delete the secret {name} permanently", yes=yes)
    with connect(url, key) as client:
        client.secrets.delete(name)
    print_done(name, "deleted", as_json=as_json)


def _value(name: str) -> str:
    """Read the value, without its line end.

    Raises:
        Refused: the value is empty or too long.
    """
    if sys.stdin.isatty():
        value = getpass(f"Value of {plain(name)} (not shown): ")
    else:
        value = sys.stdin.read(MOST_CHARACTERS + 2).removesuffix("\n").removesuffix("\r")
    if not 0 < len(value) <= MOST_CHARACTERS:
        raise Refused(f"a secret must have 1 to {MOST_CHARACTERS} characters: nothing was set")
    return value
