"""How commands find their server: flags, then the environment, then the nearest .duet/."""

from typing import Annotated

import typer

from duet.client.sync.client import Client

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
    return Client(url, key)
