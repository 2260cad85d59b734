"""Where a server answers, and how clients find it: as told, else the nearest .duet/ upwards."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from duet.errors import Unreachable
from duet.server_file import FILE_NAME, read_server_file

FOLDER_NAME = ".duet"


@dataclass(frozen=True)
class Server:
    """Where a server answers, and a key it takes."""

    url: str
    key: str
    named_by: str | None = field(default=None, compare=False)
    """The file or variable that named its address; None: it was given."""

    @property
    def port(self) -> int | None:
        """As its address has it."""
        return urlsplit(self.url).port

    @property
    def dashboard(self) -> str:
        """The page's address; the fragment with the key stays in the browser."""
        return f"{self.url}/#key={self.key}"


def find_server(
    *,
    url: str | None,
    key: str | None,
    start: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Server:
    """The server that is meant: as given, else as DUET_URL and DUET_API_KEY say, else that of the
    nearest .duet/ from `start` (the current folder) upwards.

    Raises:
        Unreachable: nothing is known of one.
        Refused: what is known may have been written by somebody else (`duet.server_file`).
    """
    told = environment.get("DUET_URL")
    named_by = "DUET_URL" if told and url in {None, told} else None
    url = url or told
    key = key or environment.get("DUET_API_KEY")
    if url and key:
        return Server(url.rstrip("/"), key, named_by)
    if url:
        raise Unreachable(f"no key for {url}: give --key or DUET_API_KEY")
    folder = _nearest(start or Path.cwd())
    if folder is None:
        raise Unreachable(
            "no server is known here (no .duet/ in this folder or above): start one with "
            "`duet up`, or give --url and --key (or DUET_URL and DUET_API_KEY)"
        )
    found = running_server(folder)
    return Server(found.url, key or found.key, found.named_by)


def running_server(folder: Path) -> Server:
    """The server that runs on this folder.

    Raises:
        Unreachable: it is not running.
        Refused: its file may have been written by somebody else.
    """
    known = read_server_file(folder)
    if "url" not in known:
        raise Unreachable(f"the server of {folder} is not running: start it with `duet up`")
    return Server(known["url"], known["key"], str(folder / FILE_NAME))


def _nearest(start: Path) -> Path | None:
    """The first folder upwards that has the file, or that does not let us see whether it has."""
    for above in (start, *start.parents):
        try:
            (above / FOLDER_NAME / FILE_NAME).lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError:
            pass
        return above / FOLDER_NAME
    return None
