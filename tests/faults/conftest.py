"""Real workers as processes, with real trainers, to be killed, stopped and cut off."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from grpo.spec.job import JobSpec
from grpo.spec.resolve import resolve
from store.access import keys
from store.database.database import Database
from store.jobs import attempts, checkpoints, jobs, transitions
from store.log import log
from store.settings import Settings
from store.tables import Attempt, Checkpoint, Job, Record
from tests.waiting import deadline, wait_until

STEPS = 24
FAST: Mapping[str, Any] = {
    "preset": "demo",
    "data": {"eval": None},
    "algorithm": {"prompts_per_step": 8, "minibatches": 1},
    "rollout": {"engine": "transformers", "max_tokens": 24},
    "checkpoints": {"every_steps": 4},
    "budget": {"max_steps": STEPS},
}
"""Spec with about a tenth of a second per step on an idle machine."""


class WorkerProcess:
    """`python -m worker`, or a script that stands in for it."""

    def __init__(
        self,
        settings: Settings,
        log: Path,
        *,
        script: Path | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        """Start a worker process; `arguments` are for the script."""
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    *(["-m", "worker"] if script is None else [str(script), *arguments]),
                ],
                env=_environment(settings),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, *, seconds: float = 30) -> int:
        """Exit code of the process."""
        return self.process.wait(deadline(seconds))

    def end(self) -> None:
        """End the process in any state."""
        if self.process.poll() is None:
            self.send(signal.SIGCONT)
            self.send(signal.SIGTERM)
            try:
                self.wait()
            except subprocess.TimeoutExpired:
                self.send(signal.SIGKILL)
                self.wait()
                raise AssertionError(f"a worker does not end: {self.log.read_text()}") from None


class Fleet:
    """Fleet of workers with jobs and checks of their results."""

    def __init__(self, settings: Settings, database: Database, logs: Path) -> None:
        self.settings = settings
        self.database = database
        self._logs = logs
        self._workers: list[WorkerProcess] = []
        with database.session() as session:
            self.project = keys.create_project(session, "default")
            self.key, _ = keys.create_key(session, self.project, "test", ["admin"])

    def start_worker(
        self, *, script: Path | None = None, arguments: Sequence[str] = ()
    ) -> WorkerProcess:
        log = self._logs / f"worker-{len(self._workers)}.log"
        worker = WorkerProcess(self.settings, log, script=script, arguments=arguments)
        self._workers.append(worker)
        return worker

    def submit(self, spec: Mapping[str, Any]) -> UUID:
        with self.database.session() as session:
            job = jobs.submit(
                session,
                project_id=self.project.id,
                key_id=self.key.id,
                spec=resolve(spec),
                total_steps=None,
            )
            return job.id

    def job(self, job_id: UUID) -> Job:
        with self.database.session() as session:
            return jobs.get(session, self.project.id, job_id)

    def cancel(self, job_id: UUID, *, kill: bool) -> None:
        with self.database.session() as session:
            transitions.cancel(session, self.project.id, job_id, kill=kill, reason="a test")

    def retry(self, job_id: UUID) -> UUID:
        with self.database.session() as session:
            ended = transitions.ended(session, self.project.id, job_id)
            job = transitions.retry(
                session,
                ended,
                key_id=self.key.id,
                spec=JobSpec.model_validate(ended.spec),
                total_steps=ended.total_steps,
                by="a test",
            )
            return job.id

    def attempts(self, job_id: UUID) -> list[Attempt]:
        with self.database.session() as session:
            return attempts.list_attempts(session, job_id)

    def checkpoints(self, job_id: UUID) -> list[Checkpoint]:
        with self.database.session() as session:
            return checkpoints.list_checkpoints(session, job_id)

    def records(self, job_id: UUID, *, superseded: bool = False) -> list[Record]:
        with self.database.session() as session:
            return log.read(session, job_id, limit=100_000, superseded=superseded)

    def trainer(self, job_id: UUID, *, attempt: int = 1) -> int:
        """Wait for an attempt's trainer and return its process id."""
        self.wait_until(lambda: any(a.pid for a in self._of(job_id, attempt)))
        (pid,) = [a.pid for a in self._of(job_id, attempt)]
        assert pid is not None
        return pid

    def _of(self, job_id: UUID, attempt: int) -> list[Attempt]:
        return [a for a in self.attempts(job_id) if a.number == attempt]

    def finished(self, job_id: UUID) -> Job:
        """Wait for the job's end and return it."""
        self.wait_until(lambda: self.job(job_id).status.terminal, seconds=240)
        return self.job(job_id)

    def wait_until(self, true: Callable[[], Any], *, seconds: float = 150) -> None:
        wait_until(true, seconds=seconds, told=self.logs)

    def logs(self) -> str:
        """Logs of workers and trainers, for a test that fails."""
        trainers = self.settings.runs_dir.rglob("log.txt")
        paths = [worker.log for worker in self._workers] + sorted(trainers)
        return "\n".join(f"--- {path.name}\n{path.read_text()[-4000:]}" for path in paths)

    def end(self) -> None:
        for worker in self._workers:
            worker.end()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A lease long enough for a busy machine."""
    return settings.model_copy(update={"lease_seconds": 5})


@pytest.fixture
def fleet(settings: Settings, database: Database, tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(settings, database, tmp_path)
    yield made
    made.end()


class Unbroken:
    """The same training without worker and faults, once per engine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, str] = {}

    def weights(self, spec: Mapping[str, Any]) -> str:
        """Return the sha256 of the final weights."""
        without = {name: {} for name in ("labels", "resources", "checkpoints")}
        text = resolve({**spec, **without}).model_dump_json()  # none of these changes a weight
        if text not in self._known:
            out = self._folder / str(len(self._known))
            path = out.with_suffix(".json")
            path.write_text(text)
            command = [sys.executable, "-m", "grpo", "run", str(path), "--out", str(out)]
            done = subprocess.run(command, env=_one_thread(), capture_output=True, check=False)
            assert done.returncode == 0, done.stderr.decode()
            steps = resolve(spec).budget.max_steps
            manifest = out / f"checkpoints/step-{steps:06d}/manifest.json"
            self._known[text] = weights_sha256(json.loads(manifest.read_text()))
        return self._known[text]


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Unbroken:
    return Unbroken(tmp_path_factory.mktemp("unbroken"))


def weights_sha256(manifest: Mapping[str, Any]) -> str:
    (found,) = [f["sha256"] for f in manifest["files"] if f["path"] == "model.safetensors"]
    return found


def _one_thread() -> dict[str, str]:
    """Set the number of threads, which affects the exact result."""
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def _environment(settings: Settings) -> dict[str, str]:
    given = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "ARTIFACTS_URL": settings.artifacts_url,
        "RUNS_DIR": settings.runs_dir,
        "DUET_LOCAL_ROOTS": settings.local_roots,
        "DUET_LEASE_SECONDS": settings.lease_seconds,
        "DUET_REAPER_SECONDS": settings.reaper_seconds,
        "DUET_POLL_SECONDS": settings.poll_seconds,
        "DUET_SYNC_SECONDS": settings.sync_seconds,
        "DUET_RETRY_SECONDS": settings.retry_seconds,
        "DUET_GRACE_SECONDS": settings.grace_seconds,
        "DUET_OUTAGE_SECONDS": settings.outage_seconds,
        "DUET_RUNS_KEEP_DAYS": settings.runs_keep_days,
        "DUET_WORKER_GPUS": "none",
    }
    return {**_one_thread(), **{name: str(value) for name, value in given.items()}}
