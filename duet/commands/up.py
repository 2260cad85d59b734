"""`duet up`: all servers on one machine, until Ctrl-C."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from duet.discovery import FOLDER_NAME, Server
from duet.local.state import State
from duet.signals import StopRequested
from duet.terminal.output import say, tell

if TYPE_CHECKING:
    from duet.local.stack import Stack

Folder = Annotated[Path, typer.Option("--dir", help="Folder of all its state.")]

PORT_HELP = "Port of the API; default: that of the last start, if free."


def up(
    folder: Folder = Path(FOLDER_NAME),
    port: Annotated[int | None, typer.Option(min=1, max=65535, help=PORT_HELP)] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the address and key as one line of JSON.")
    ] = False,
) -> None:
    """Start Postgres, Valkey, the API and a worker here, until Ctrl-C.

    DATABASE_URL, REDIS_URL and ARTIFACTS_URL, if set, are used instead of starting these servers.
    """
    # Imported here: the servers' libraries would take a third of every other command's startup
    # time.
    from duet.local.run_locally import local_duet

    try:
        with local_duet(State(folder), port=port, say=tell) as (stack, server):
            say(_facts(stack, server) if as_json else _greeting(folder, server))
            while True:
                stack.check()
                time.sleep(0.2)
    except StopRequested:
        return


def _facts(stack: "Stack", server: Server) -> str:
    facts = {"url": server.url, "key": server.key, "dashboard": server.dashboard}
    return json.dumps({**facts, "pids": stack.pids})


def _greeting(folder: Path, server: Server) -> str:
    lines = [
        "",
        f"Web page   {server.dashboard}",
        f"API        {server.url}    (reference: {server.url}/docs)",
        f"Key        {server.key}",
        f"State      {folder.resolve()}",
        "",
    ]
    if folder.name != FOLDER_NAME:
        lines += [
            "Other commands find it by",
            f"  export DUET_URL={server.url}",
            f"  export DUET_API_KEY={server.key}",
            "",
        ]
    return "\n".join([*lines, "Ctrl-C stops it."])
