"""The system under test: its own Postgres, Valkey, API and workers, as real processes."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import psutil

from duet.local.services.process import Child, free_port
from store.access import keys
from store.database.database import Database
from tests.faults.own_services import OwnPostgres, OwnValkey, own_postgres, own_valkey
from tests.waiting import deadline

LEASE_SECONDS = 6.0
STRAY_GRACE_SECONDS = 3.0
START_SECONDS = 120.0
STOP_SECONDS = 60.0
PERIODS: Mapping[str, float] = {
    "DUET_LEASE_SECONDS": LEASE_SECONDS,
    "DUET_REAPER_SECONDS": 0.5,
    "DUET_POLL_SECONDS": 0.5,
    "DUET_SYNC_SECONDS": 0.2,
    "DUET_RETRY_SECONDS": 0.1,
    "DUET_GRACE_SECONDS": 10,
    "DUET_OUTAGE_SECONDS": 3,
    "DUET_STRAY_GRACE_SECONDS": STRAY_GRACE_SECONDS,
}
"""Settings with short periods, for tests in seconds."""


class Workplace:
    """A slot for consecutive workers."""

    def __init__(self, start: Callable[[], Child]) -> None:
        self._start = start
        self.worker = start()
        self.stopped = False
        self.leaving: list[Child] = []
        """Drained workers that may still be saving."""

    @property
    def trainers(self) -> list[psutil.Process]:
        """Process id of a running worker."""
        if self.stopped or not self.worker.running:
            return []
        return [
            child
            for child in psutil.Process(self.worker.pid).children()
            if "grpo" in _command(child)
        ]

    def stop(self) -> None:
        self.worker.process.send_signal(signal.SIGSTOP)
        self.stopped = True

    def continue_(self, stopped: Child) -> None:
        """Continue the worker, if it has not been killed since."""
        if stopped.running:
            stopped.process.send_signal(signal.SIGCONT)
        if stopped is self.worker:
            self.stopped = False

    def kill(self) -> None:
        self.worker.kill()
        self.stopped = False

    def drain(self) -> None:
        """Stop the worker by SIGTERM and start another."""
        self.worker.process.send_signal(signal.SIGTERM)
        self.leaving.append(self.worker)
        self.worker = self._start()

    def restart(self) -> None:
        """Start a worker if none runs."""
        if not self.worker.running:
            self.worker = self._start()

    def close(self) -> list[int | None]:
        """Stop all workers as an operator would, and return their exit codes."""
        for worker in (*self.leaving, self.worker):
            if worker.running:
                worker.process.send_signal(signal.SIGCONT)
        for worker in (*self.leaving, self.worker):
            worker.stop(seconds=deadline(STOP_SECONDS))
        return [worker.process.returncode for worker in self.leaving]


class System:
    """The whole system, made by `running`."""

    def __init__(self, folder: Path, *, postgres: OwnPostgres, valkey: OwnValkey) -> None:
        """Create the system on a running `postgres` and `valkey`."""
        self.folder = folder
        self.runs = folder / "runs"
        self.artifacts = folder / "artifacts"
        self.postgres = postgres
        self.valkey = valkey
        self.database = Database(postgres.url)
        with self.database.session() as session:
            project = keys.create_project(session, "chaos")
            self.key = keys.create_key(session, project, "chaos", ["read", "submit"])[1]
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.api = self._start_api()
        self.workplaces: list[Workplace] = []

    def start(self, *, num_workers: int) -> None:
        """Wait for the API, and start the workers."""
        self.api.wait_until(self._api_answers, seconds=deadline(START_SECONDS))
        for number in range(num_workers):
            start = partial(self._start, f"worker-{number}", "worker")
            self.workplaces.append(Workplace(start))

    def restart_api(self) -> None:
        """Start the API without waiting for it."""
        self.api = self._start_api()

    def all_trainers(self) -> list[psutil.Process]:
        """Return every trainer of this system."""
        runs = str(self.runs)
        return [process for process in psutil.process_iter() if _is_trainer(process, runs)]

    def left_over(self) -> list[str]:
        """Return processes that name this system in their command or environment."""
        return [
            f"{process.pid}: {' '.join(_command(process))}"
            for process in psutil.process_iter()
            if process.pid != os.getpid() and self._owns(process)
        ]

    def close_workers(self) -> list[int | None]:
        """Return the exit codes of drained workers."""
        return [code for workplace in self.workplaces for code in workplace.close()]

    def close(self) -> None:
        self.close_workers()
        self.api.stop()
        self.database.close()

    def _start_api(self) -> Child:
        return self._start("api", "api", "--port", str(self._port))

    def _start(self, name: str, package: str, *options: str) -> Child:
        return Child(
            [sys.executable, "-m", package, *options],
            name=name,
            log=self.folder / f"{name}.log",
            env=self._environment(),
            death_signal=signal.SIGKILL,
        )

    def _environment(self) -> dict[str, str]:
        return {
            **{name: str(value) for name, value in PERIODS.items()},
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.valkey.url,
            "ARTIFACTS_URL": self.artifacts.as_uri(),
            "RUNS_DIR": str(self.runs),
            "DUET_WORKER_GPUS": "none",
            "OMP_NUM_THREADS": "1",  # the number of threads is part of what makes a run exact
        }

    def _api_answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=deadline(5)).is_success
        except httpx.TransportError:
            return False

    def _owns(self, process: psutil.Process) -> bool:
        try:
            known = [*process.cmdline(), *process.environ().values()]
        except psutil.Error:
            return False
        return any(str(self.folder) in text for text in known)


@contextmanager
def running(folder: Path, *, num_workers: int) -> Iterator[System]:
    """Run a system in `folder` for the block, to be used only in this thread: its processes end
    with the thread that started them.

    Raises:
        ServiceError: a part did not start.
    """
    with own_postgres(folder / "postgres") as postgres, own_valkey(folder / "valkey") as valkey:
        system = System(folder, postgres=postgres, valkey=valkey)
        try:
            system.start(num_workers=num_workers)
            yield system
        finally:
            system.close()


def _is_trainer(process: psutil.Process, runs: str) -> bool:
    command = _command(process)
    return "grpo" in command and any(part.startswith(runs) for part in command)


def _command(process: psutil.Process) -> list[str]:
    """Read a process's file in /proc; empty if it has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []
