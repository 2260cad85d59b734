"""Discovery of a server: flags, then the environment, then the nearest .duet/ upwards."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from duet.errors import NoServer, Unreachable
from duet.server_file import FILE_NAME, read_server_file

FOLDER_NAME = ".duet"


@dataclass(frozen=True)
class Server:
    """A server's address, and a key that it accepts."""

    url: str
    key: str
    named_by: str | None = field(default=None, compare=False)
    """The file or variable that its address came from; None: an option."""

    @property
    def port(self) -> int | None:
        """Host and port of its address."""
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
    """Find the server: as given, else from DUET_URL and DUET_API_KEY, else from the nearest .duet/
    in `start` (the current folder) or a parent folder.

    Raises:
        NoServer: no server is known, or the one known was stopped.
        Unreachable: the key is missing.
        Refused: another user could have written its file (`duet.server_file`).
    """
    variable = environment.get("DUET_URL")
    named_by = "DUET_URL" if variable and url in {None, variable} else None
    url = url or variable
    key = key or environment.get("DUET_API_KEY")
    if url and key:
        return Server(url.rstrip("/"), key, named_by)
    if url:
        raise Unreachable(f"no key for {url}: give --key or DUET_API_KEY")
    folder = _nearest(start or Path.cwd())
    if folder is None:
        raise NoServer(
            "no server is configured (no .duet/ in this folder or a parent folder): start one with "
            "`duet up`, or give --url and --key (or DUET_URL and DUET_API_KEY)"
        )
    found = running_server(folder)
    return Server(found.url, key or found.key, found.named_by)


def running_server(folder: Path) -> Server:
    """Return the server that runs on this folder.

    Raises:
        NoServer: it is not running.
        Refused: another user could have written its file.
    """
    known = read_server_file(folder)
    if "url" not in known:
        raise NoServer(f"the server of {folder} is not running: start it with `duet up`")
    return Server(known["url"], known["key"], str(folder / FILE_NAME))


def _nearest(start: Path) -> Path | None:
    """Return the first folder, going upward, that has the file or cannot be read."""
    for above in (start, *start.parents):
        try:
            (above / FOLDER_NAME / FILE_NAME).lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError:
            pass
        return above / FOLDER_NAME
    return None
