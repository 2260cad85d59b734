"""A real PgBouncer in transaction mode in front of a test's database."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from duet.local.services.process import free_port
from tests.waiting import deadline

UNPRIVILEGED = "nobody"  # it refuses to run as root


@contextmanager
def pooler(database_url: str, folder: Path, *settings: str) -> Iterator[str]:
    """Yield the address of a pooler in front of this database."""
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    server = conninfo_to_dict(database_url)
    port = free_port()
    folder.mkdir()
    (folder / "users.txt").write_text(f'"{server["user"]}" "{server["password"]}"\n')
    (folder / "pgbouncer.ini").write_text(
        "\n".join(
            (
                "[databases]",
                f"* = host={server['host']} port={server['port']}",
                "[pgbouncer]",
                f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =",
                f"auth_type = plain\nauth_file = {folder / 'users.txt'}",
                "pool_mode = transaction\ndefault_pool_size = 3\nmax_client_conn = 200",
                *settings,
            )
        )
    )
    command = ["-u", UNPRIVILEGED] if Path("/proc/self").stat().st_uid == 0 else []
    for path in (*folder.parents, folder, *folder.iterdir()):
        if path.stat().st_uid == Path("/proc/self").stat().st_uid:
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [program, *command, str(folder / "pgbouncer.ini")], stdout=log, stderr=log
        )
    host, name = f"{server['user']}:{server['password']}@127.0.0.1:{port}", server["dbname"]
    url = f"postgresql://{host}/{name}"
    try:
        _wait(url, process, folder / "log")
        yield url
    finally:
        process.terminate()
        process.wait()


def _wait(url: str, process: subprocess.Popen, log: Path) -> None:
    latest = time.monotonic() + deadline(30)
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < latest, log.read_text()
