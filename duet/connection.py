"""Discovery of the server for commands: flags, then the environment, then the nearest .duet/."""

from typing import Annotated

import typer

from duet.client.sync.client import Client
from duet.errors import DuetError

COMPLETION_SECONDS = 1.0
COMPLETED_JOBS = 100

Url = Annotated[str | None, typer.Option(envvar="DUET_URL", help="The server's address.")]
Key = Annotated[
    str | None, typer.Option(envvar="DUET_API_KEY", help="Its API key.", show_envvar=True)
]


Force = Annotated[bool, typer.Option("--force", help="Overwrite files with other content.")]


def complete_job(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the newest jobs' ids and names for shell completion; none if the server does not
    answer within a second, since the shell blocks meanwhile."""
    given = context.params.get("url"), context.params.get("key")
    try:
        with Client(*given, timeout_seconds=COMPLETION_SECONDS, max_retries=0) as client:
            found = list(client.jobs.list(limit=COMPLETED_JOBS))
    except DuetError:
        return []
    return [(job.id, job.name) for job in found if job.id.startswith(incomplete)]


JobId = Annotated[
    str,
    typer.Argument(
        metavar="JOB",
        help="The job's id, as `duet jobs` lists it.",
        autocompletion=complete_job,
    ),
]


def connect(url: str | None, key: str | None) -> Client:
    """Return a client of the server named by both flags, or by the nearest .duet/.

    Raises:
        Unreachable: no server is configured.
    """
    return Client(url, key)
