"""The folder that holds all of a local Duet: its servers' data, its key, where it answers."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duet.errors import Refused, Unreachable

FOLDER_NAME = ".duet"


@dataclass(frozen=True)
class Server:
    """Where a server answers, and a key it takes."""

    url: str
    key: str

    @property
    def dashboard(self) -> str:
        """The page's address; the fragment with the key stays in the browser."""
        return f"{self.url}/#key={self.key}"


@dataclass(frozen=True)
class State:
    folder: Path

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def running(self) -> bool:
        """Whether a `duet up` (or a demo's) holds this folder."""
        try:
            with self.locked():
                return False
        except Refused:
            return True

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder; the kernel lets go of it when this process ends, however it ends.

        Raises:
            Refused: another process holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.folder / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise Refused(
                    f"another `duet up` (process {lock.read().strip()}) runs on {self.folder}: "
                    "use it, stop it, or give another folder with --dir"
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    def read_key(self) -> str | None:
        """The key of an earlier start, if there was one."""
        return self._read().get("key")

    def read_server(self) -> Server:
        """The server that runs on this folder.

        Raises:
            Unreachable: it is not running.
        """
        known = self._read()
        if "url" not in known:
            raise Unreachable(
                f"the server of {self.folder} is not running: start it with `duet up`"
            )
        return Server(known["url"], known["key"])

    def write_server(self, server: Server, pids: dict[str, int]) -> None:
        self._write({"url": server.url, "key": server.key, "pids": pids})

    def write_stopped(self, key: str) -> None:
        self._write({"key": key})

    def _read(self) -> dict[str, Any]:
        try:
            return json.loads((self.folder / "server.json").read_text())
        except FileNotFoundError:
            return {}

    def _write(self, content: dict[str, Any]) -> None:
        """The file holds a key: only its owner may read it, from its first byte on."""
        beside = self.folder / "server.json.new"
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as out:
            json.dump(content, out)
        beside.replace(self.folder / "server.json")


def find_server(*, url: str | None, key: str | None, start: Path) -> Server:
    """The server that commands speak to: as given, else that of the nearest .duet/ upwards.

    Raises:
        Unreachable: nothing is known of one.
    """
    if url and key:
        return Server(url, key)
    if url:
        raise Unreachable(f"no key for {url}: give --key or DUET_API_KEY")
    state = _nearest(start)
    if state is None:
        raise Unreachable(
            "no server is known here (no .duet/ in this folder or above): start one with "
            "`duet up`, or give --url and --key (or DUET_URL and DUET_API_KEY)"
        )
    found = state.read_server()
    return Server(found.url, key or found.key)


def _nearest(start: Path) -> State | None:
    for folder in (start, *start.parents):
        if (folder / FOLDER_NAME / "server.json").exists():
            return State(folder / FOLDER_NAME)
    return None
