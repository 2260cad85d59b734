"""Both servers on one Postgres: ours as started by `python -m api`, and the bare one."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from duet.local.services.postgres import Postgres
from duet.local.services.process import Child, answers, free_port
from duet.local.services.valkey import Valkey
from store.access import keys
from store.database.database import Database
from store.database.schema import migrate
from store.tables import ApiKey, Project

START_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """A running server."""

    port: int
    pid: int

    @property
    def memory_bytes(self) -> int:
        """Resident memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(line.split()[1]) * 1024


@dataclass(frozen=True)
class Owner:
    """A project and its key."""

    project: Project
    key: ApiKey
    text: str


@dataclass(frozen=True)
class Servers:
    ours: Server
    bare: Server
    database: Database

    def make_owner(self, name: str) -> Owner:
        with self.database.session() as session:
            project = keys.create_project(session, name)
            key, text = keys.create_key(session, project, "bench", ["read", "submit"])
            return Owner(project, key, text)


@contextmanager
def running(folder: Path) -> Iterator[Servers]:
    with ExitStack() as stack:
        postgres, valkey = Postgres(folder / "postgres"), Valkey(folder / "valkey")
        for server in (postgres, valkey):
            server.start()
            stack.callback(server.stop)
        migrate(postgres.url)
        database = Database(postgres.url)
        stack.callback(database.close)
        environment = {
            "DATABASE_URL": postgres.url,
            "REDIS_URL": valkey.url,
            "ARTIFACTS_URL": (folder / "artifacts").as_uri(),
            "DUET_REQUESTS_PER_MINUTE": "1000000000",  # one client sends all requests
        }
        started = []
        for name, arguments in (("api", ["--port"]), ("bench.api.bare", [postgres.url])):
            port = free_port()
            command = [sys.executable, "-m", name, *arguments, str(port)]
            child = Child(command, name=name, log=folder / f"{name}.log", env=environment)
            stack.callback(child.stop)
            child.wait_until(lambda port=port: answers(port), seconds=START_SECONDS)
            started.append(Server(port, child.pid))
        ours, bare = started
        yield Servers(ours, bare, database)
