"""Where a server answers, and how clients find it: as told, else the nearest .duet/ upwards."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duet.errors import Unreachable

FOLDER_NAME = ".duet"
FILE_NAME = "server.json"


@dataclass(frozen=True)
class Server:
    """Where a server answers, and a key it takes."""

    url: str
    key: str

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
    """
    url = url or environment.get("DUET_URL")
    key = key or environment.get("DUET_API_KEY")
    if url and key:
        return Server(url.rstrip("/"), key)
    if url:
        raise Unreachable(f"no key for {url}: give --key or DUET_API_KEY")
    folder = _nearest(start or Path.cwd())
    if folder is None:
        raise Unreachable(
            "no server is known here (no .duet/ in this folder or above): start one with "
            "`duet up`, or give --url and --key (or DUET_URL and DUET_API_KEY)"
        )
    found = running_server(folder)
    return Server(found.url, key or found.key)


def running_server(folder: Path) -> Server:
    """The server that runs on this folder.

    Raises:
        Unreachable: it is not running.
    """
    known = read_server_file(folder)
    if "url" not in known:
        raise Unreachable(f"the server of {folder} is not running: start it with `duet up`")
    return Server(known["url"], known["key"])


def read_server_file(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / FILE_NAME).read_text())
    except FileNotFoundError:
        return {}


def _nearest(start: Path) -> Path | None:
    for above in (start, *start.parents):
        if (above / FOLDER_NAME / FILE_NAME).exists():
            return above / FOLDER_NAME
    return None
