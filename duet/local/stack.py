"""All servers on one machine: Postgres, Valkey, the API, a worker and ops as child processes."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import httpx

from duet.client.surroundings import connection_options
from duet.discovery import Server
from duet.errors import DuetError, Refused
from duet.local.installed_build import unusable_gpus
from duet.local.services.postgres import Postgres
from duet.local.services.process import Child, free_port, is_free
from duet.local.services.valkey import Valkey
from duet.local.state import State
from duet.local.system_needs import missing_needs
from duet.signals import StopRequested

START_SECONDS = 120  # a few seconds on an idle machine, longer on a busy one
WORKER_SAYS = "worker_registered"
WORKER_STOP_SECONDS = 90  # it waits 60 s for a trainer to finish its step and save
SERVER_STOP_SECONDS = 10
LOG_BYTES = 16 * 2**20  # of each server's current and previous log
OWN_MACHINE = "localhost,127.0.0.0/8,::1"  # services of rewards that its user has started
HURRY_SECONDS = 10  # jobs not returned by then are requeued after the next start and a lease


class Stack:
    """The servers on one state folder.  The caller holds the folder's lock.

    DATABASE_URL, REDIS_URL and ARTIFACTS_URL in `environment` replace the stack's own servers.
    """

    def __init__(
        self,
        state: State,
        *,
        port: int | None,
        environment: Mapping[str, str],
        say: Callable[[str], None],
    ) -> None:
        self.children: dict[str, Child] = {}
        self._state = state
        self._port = port
        self._environment = environment
        self._say = say
        self._server: Server | None = None

    @property
    def pids(self) -> dict[str, int]:
        return {"up": os.getpid(), **{name: child.pid for name, child in self.children.items()}}

    def start(self) -> Server:
        """Start all, and return when all answer.

        Raises:
            Refused: the port is in use.
            DuetError: the system lacks what training needs.
            ServiceError: a server did not start; those started before it are left to `stop`.
        """
        port = self._choose_port()
        self._url = f"http://127.0.0.1:{port}"
        missing = missing_needs(gpu=False)
        if missing:
            raise DuetError("jobs cannot train on this machine:\n" + "\n".join(missing))
        addresses = self._start_databases()
        self._say("migrating the database")
        self._store(["migrate"], addresses)
        self._say("starting the API and a worker")
        # KILL, not TERM, when this process dies: Postgres dies too, so nothing can be completed,
        # and the next start resumes the job from its last checkpoint.
        self._run("api", ["api", "--host", "127.0.0.1", "--port", str(port)], addresses)
        gpus = unusable_gpus(self._environment)
        if gpus and shutil.which("nvidia-smi"):
            self._say("this is a CPU-only installation; to use the GPU: `make setup GPU=1`")
        self._run("worker", ["worker"], {**addresses, **gpus})
        self.children["api"].wait_until(self._api_is_ready, seconds=START_SECONDS)
        self._server = Server(self._url, self._working_key(addresses))
        self.children["worker"].wait_until(self._worker_is_ready, seconds=START_SECONDS)
        # Started last and not waited for: webhooks may be a second late.
        self._run("ops", ["worker", "ops"], addresses)
        self._state.write_server(self._server, self.pids)
        return self._server

    def check(self) -> None:
        """Raise DuetError, with the end of the log, if a server has ended by itself."""
        for name, child in self.children.items():
            child.bound_log(num_bytes=LOG_BYTES)
            if not child.running:
                raise DuetError(
                    f"{name} exited unexpectedly (exit code {child.process.returncode}), so all "
                    f"servers stop; its log is {child.log} and ends:\n{child.last_words()}"
                )

    def stop(self) -> None:
        """Stop the worker first, while there is still a database to write to, and Postgres last.

        A second request to stop ends the rest immediately.
        """
        if self._server:
            self._say("stopping; a running job saves first (Ctrl-C again: stop now)")
        try:
            for name, child in reversed(self.children.items()):
                child.stop(seconds=WORKER_STOP_SECONDS if name == "worker" else SERVER_STOP_SECONDS)
        except StopRequested:
            self._hurry_worker()
            for child in reversed(self.children.values()):
                child.kill()
        if self._server:
            self._state.write_stopped(self._server)

    def _choose_port(self) -> int:
        """Choose the given port, else that of the last start, which bookmarks have, if free."""
        if self._port is None:
            last = self._state.read_port()
            return last if last is not None and is_free(last) else free_port()
        if not is_free(self._port):
            raise Refused(
                f"port {self._port} is in use by another program: stop it, give another --port, "
                "or leave --port out"
            )
        return self._port

    def _hurry_worker(self) -> None:
        """Make the worker kill its trainers and requeue their jobs while Postgres still runs."""
        worker = self.children.get("worker")
        if worker is not None and worker.running:
            worker.process.send_signal(signal.SIGQUIT)
            with suppress(subprocess.TimeoutExpired):
                worker.process.wait(HURRY_SECONDS)

    def _start_databases(self) -> dict[str, str]:
        folder = self._state.folder
        addresses = {
            "ARTIFACTS_URL": (folder / "artifacts").resolve().as_uri(),
            "RUNS_DIR": str((folder / "runs").resolve()),
            # The holder of its key is its user, or trusted by them: see docs/security.md.
            "DUET_LOCAL_ROOTS": self._environment.get("DUET_LOCAL_ROOTS", "/"),
            "DUET_REWARD_HOSTS": self._environment.get("DUET_REWARD_HOSTS", OWN_MACHINE),
            **{name: self._environment[name] for name in _OURS if self._environment.get(name)},
        }
        addresses.setdefault("DUET_SECRETS_KEY", self._state.secrets_key())
        if "DATABASE_URL" not in addresses:
            self._say("starting Postgres")
            postgres = Postgres(folder / "postgres")
            postgres.start()
            self.children["postgres"] = postgres.child
            addresses["DATABASE_URL"] = postgres.url
        if "REDIS_URL" not in addresses:
            self._say("starting Valkey")
            valkey = Valkey(folder / "valkey")
            valkey.start()
            self.children["valkey"] = valkey.child
            addresses["REDIS_URL"] = valkey.url
        return addresses

    def _run(self, name: str, module: Sequence[str], addresses: Mapping[str, str]) -> None:
        self.children[name] = Child(
            [*_PYTHON, *module],
            name=name,
            log=self._state.logs / f"{name}.log",
            env={**addresses, "PYTHONUNBUFFERED": "1"},
            death_signal=signal.SIGKILL,
        )

    def _api_is_ready(self) -> bool:
        direct = connection_options(self._url)
        try:
            return httpx.get(f"{self._url}/readyz", timeout=5, **direct).is_success
        except httpx.TransportError:
            return False

    def _worker_is_ready(self) -> bool:
        """Whether the worker's log says that it is registered and looks for jobs."""
        return WORKER_SAYS in self.children["worker"].words_since_start()

    def _working_key(self, addresses: Mapping[str, str]) -> str:
        """Return the key of the last start, or a new one where the database does not have it."""
        known = self._state.read_key()
        if known:
            headers = {"Authorization": f"Bearer {known}"}
            answer = httpx.get(
                f"{self._url}/v1/jobs?limit=1",
                headers=headers,
                timeout=30,
                **connection_options(self._url),
            )
            if answer.is_success:
                return known
        return self._store(["create-key", "--name", "duet up"], addresses).strip()

    def _store(self, arguments: Sequence[str], addresses: Mapping[str, str]) -> str:
        done = subprocess.run(
            [*_PYTHON, "store", *arguments],
            env={**self._environment, **addresses},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise DuetError(f"`python -m store {arguments[0]}` failed:\n{done.stderr.strip()}")
        return done.stdout


_OURS = ("DATABASE_URL", "REDIS_URL", "ARTIFACTS_URL", "DUET_SECRETS_KEY")
# -P: a folder named `api` in the user's current folder must not be imported.
_PYTHON = (sys.executable, "-P", "-m")
