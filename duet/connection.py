"""How commands find their server: flags, then the environment, then the nearest .duet/."""

from pathlib import Path
from typing import Annotated

import typer

from duet.client import Client
from duet.state import find_server

Url = Annotated[str | None, typer.Option(envvar="DUET_URL", help="The server's address.")]
Key = Annotated[
    str | None, typer.Option(envvar="DUET_API_KEY", help="Its API key.", show_envvar=True)
]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, as `duet jobs` lists it.")]


def connect(url: str | None, key: str | None) -> Client:
    """A client of the server meant; both flags, or neither and a .duet/ here or above.

    Raises:
        Unreachable: no server is known.
    """
    server = find_server(url=url, key=key, start=Path.cwd())
    return Client(server.url, server.key)
