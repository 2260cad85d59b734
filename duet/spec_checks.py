"""The spec checks that commands use: a server's if one is configured, else this machine's."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

from duet.client.sync.client import Client
from duet.connection import connect
from duet.errors import NoServer
from duet.objects.estimate import Estimates, Validated
from duet.offline import OfflineSpecs
from duet.spec_file import errors_of_the_file, with_uploads
from duet.terminal.output import tell
from duet.terminal.plain import plain


class SpecChecks(Protocol):
    def schema(self) -> dict[str, Any]: ...

    def estimate(self, spec: dict[str, Any], *, group_sizes: Sequence[int]) -> Estimates: ...

    def validate(self, spec: dict[str, Any]) -> Validated: ...


class ServerSpecs:
    """A server's checks; data files in `folder` are uploaded first."""

    def __init__(self, client: Client, folder: Path) -> None:
        self._client = client
        self._folder = folder

    def schema(self) -> dict[str, Any]:
        return self._client.schema()

    def estimate(self, spec: dict[str, Any], *, group_sizes: Sequence[int]) -> Estimates:
        uploaded = with_uploads(self._client, spec, folder=self._folder)
        with errors_of_the_file(sent_at="/spec"):
            return self._client.estimate(uploaded, group_sizes=group_sizes)

    def validate(self, spec: dict[str, Any]) -> Validated:
        return self._client.jobs.validate(with_uploads(self._client, spec, folder=self._folder))


GpuMemory = Annotated[
    float | None,
    typer.Option(
        "--gpu-memory",
        min=1,
        max=1_000_000,
        metavar="GIB",
        help="Check without a server whether the job fits on a GPU of this memory [GiB].",
    ),
]


@contextmanager
def spec_checks(
    url: str | None, key: str | None, *, folder: Path, gpu_memory_gib: float | None = None
) -> Iterator[SpecChecks]:
    """Use the server named by both flags or the nearest .duet/; where none is known or a GPU's
    memory is given, the trainer's program on this machine."""
    if gpu_memory_gib is not None:
        yield OfflineSpecs(folder, gpu_memory_gib=gpu_memory_gib)
        return
    try:
        client = connect(url, key)
    except NoServer:
        yield OfflineSpecs(folder)
        return
    with client:
        yield ServerSpecs(client, folder)


def tell_not_checked(found: Estimates | Validated) -> None:
    """Report that a result was computed without a server, and what was not checked."""
    left: list[str] | None = (found.model_extra or {}).get("not_checked")
    if left is not None:
        tell(plain(f"computed on this machine, without a server; not checked: {'; '.join(left)}"))
