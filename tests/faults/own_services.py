"""A Postgres, a Valkey and an API that one test may kill and start again at the same address."""

import os
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from duet.local.services.postgres import Postgres
from duet.local.services.process import Child, free_port
from duet.local.services.valkey import Valkey
from store.database.schema import migrate
from store.settings import Settings
from tests.waiting import deadline
from worker.processes import started_at, wait_until_gone


class OwnPostgres(Postgres):
    """Postgres with fsync, as in production; `start` after `kill` is a crash recovery."""

    def kill(self) -> None:
        """Kill the postmaster and all its children."""
        if not self.child.running:
            return
        os.kill(self.pid, signal.SIGSTOP)  # so that it starts none while they are counted
        children = _children(self.pid)
        for pid in (*children, self.pid):
            os.kill(pid, signal.SIGKILL)
        self.child.process.wait()
        wait_until_gone(children)  # else the next server finds the old one's memory in use


class OwnValkey(Valkey):
    """A Valkey whose state is in its folder: `start` after `kill` recovers all writes."""

    def kill(self) -> None:
        self.child.kill()

    def lose_data(self) -> None:
        """Delete the data, as of a server without a disk; call only when killed."""
        assert not self.child.running, "it would write its state once more"
        shutil.rmtree(self.folder)


class OwnApi:
    """`python -m api` at a fixed address."""

    def __init__(self, settings: Settings, log: Path) -> None:
        self.port = free_port()
        self._settings = settings
        self._log = log

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the API and wait until it answers, with or without its services."""
        addresses = {
            "DATABASE_URL": self._settings.database_url,
            "REDIS_URL": self._settings.redis_url,
            "ARTIFACTS_URL": self._settings.artifacts_url,
        }
        self.child = Child(
            [sys.executable, "-m", "api", "--port", str(self.port)],
            name="the API",
            log=self._log,
            env=addresses,
            death_signal=signal.SIGKILL,
        )
        self.child.wait_until(self._answers, seconds=deadline(60))

    def kill(self) -> None:
        self.child.kill()

    def stop(self) -> None:
        self.child.stop()

    def client(self, key: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=deadline(30))

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/livez", timeout=deadline(5)).is_success
        except httpx.TransportError:
            return False


@contextmanager
def own_postgres(folder: Path, *, options: Sequence[str] = ()) -> Iterator[OwnPostgres]:
    """A started and migrated Postgres."""
    server = OwnPostgres(folder, options=options)
    server.start()
    try:
        migrate(server.url)
        yield server
    finally:
        server.stop()


@contextmanager
def own_valkey(folder: Path) -> Iterator[OwnValkey]:
    """Started."""
    server = OwnValkey(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def own_api(settings: Settings, log: Path) -> Iterator[OwnApi]:
    """Started."""
    server = OwnApi(settings, log)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    found = [int(child) for task in tasks for child in task.read_text().split()]
    return [child for child in found if started_at(child) is not None]
