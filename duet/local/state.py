"""The state folder of a local Duet: its servers' data, its key and its address."""

import fcntl
import json
import os
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from duet.discovery import Server
from duet.errors import Refused
from duet.local.private_file import write_private
from duet.server_file import FILE_NAME, check_folder, read_server_file


class InUse(Refused):
    """Another process holds the folder."""


@dataclass(frozen=True)
class State:
    folder: Path

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def running(self) -> bool:
        """Whether a `duet up` or a demo holds this folder."""
        try:
            with self.locked():
                return False
        except InUse:
            return True

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder; the kernel releases the lock when this process ends, even if it is
        killed.

        Raises:
            InUse: another process holds it.
            Refused: it cannot be created or written, or other users can write into it, though
                servers are started from it.
        """
        with self._open_lock() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise InUse(
                    f"another `duet up` (process {lock.read().strip()}) runs on {self.folder}: "
                    "use it, stop it, or choose another folder with --dir"
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    def _open_lock(self) -> TextIO:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            check_folder(self.folder)
            self.logs.mkdir(exist_ok=True)
            return (self.folder / "lock").open("a+")
        except OSError as error:
            raise Refused(
                f"the folder {self.folder} cannot be used ({error.filename}: {error.strerror}): "
                "make it writable, or choose another folder with --dir"
            ) from error

    def read_port(self) -> int | None:
        """Return the API's port of the last start, if any."""
        return read_server_file(self.folder).get("port")

    def read_key(self) -> str | None:
        """Return the key of an earlier start, if any."""
        return read_server_file(self.folder).get("key")

    def write_server(self, server: Server, pids: dict[str, int]) -> None:
        self._write({"url": server.url, "key": server.key, "port": server.port, "pids": pids})

    def write_stopped(self, server: Server) -> None:
        self._write({"key": server.key, "port": server.port})

    def secrets_key(self) -> str:
        """The key that encrypts the projects' secrets, made at the first start."""
        path = self.folder / "secrets.key"
        if not path.exists():
            write_private(path, urlsafe_b64encode(os.urandom(32)).decode())
        return path.read_text()

    def _write(self, content: dict[str, Any]) -> None:
        write_private(self.folder / FILE_NAME, json.dumps(content))
