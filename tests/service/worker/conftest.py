"""A worker's parts in this process, with a scripted trainer."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from grpo.spec.resolve import resolve
from store import workers
from store.access import keys
from store.artifacts.folder import FolderArtifacts
from store.database.database import Database
from store.ids import encode
from store.jobs import jobs, transitions
from store.jobs.claim import Claim, claim_next
from store.log import log
from store.settings import Settings
from store.tables import Job, Record
from tests.waiting import deadline
from worker.attempt.supervisor import Supervisor
from worker.context import WorkerContext
from worker.slots import Slot

TRAINER = Path(__file__).with_name("scripted_trainer.py")


@pytest.fixture
def context(settings: Settings, database: Database) -> WorkerContext:
    return WorkerContext(
        settings=settings,
        database=database,
        artifacts=FolderArtifacts(settings.artifacts_url),
        trainer=(sys.executable, str(TRAINER)),
        environment=dict(os.environ),
    )


class Desk:
    """Desk for submitting jobs, running attempts and reading results."""

    def __init__(self, context: WorkerContext) -> None:
        self.context = context
        self._threads: list[threading.Thread] = []
        with context.database.session() as session:
            self.project = keys.create_project(session, "default")
            self.key, _ = keys.create_key(session, self.project, "test", ["admin"])

    def enrol(self, num_gpus: int = 0, *, blocked: str | None = None) -> None:
        """Register the worker of this desk, as its maintenance loop does."""
        context = self.context
        with context.database.session() as session:
            workers.register(
                session,
                worker_id=context.worker_id,
                host=context.host,
                boot_id=context.boot_id,
                pid=context.pid,
                queues=["default"],
                num_gpus=num_gpus,
                slots=max(1, num_gpus),
            )
            if blocked is not None:
                workers.beat(session, context.worker_id, blocked=blocked)

    def submit(self, script: str, **spec: Any) -> UUID:
        resolved = resolve({"labels": {"script": script}, **spec})
        with self.context.database.session() as session:
            job = jobs.submit(
                session,
                project_id=self.project.id,
                key_id=self.key.id,
                spec=resolved,
                total_steps=None,
            )
            return job.id

    def claim(self) -> Claim:
        with self.context.database.session() as session:
            claim = claim_next(
                session,
                worker_id=self.context.worker_id,
                host=self.context.host,
                queues=["default"],
                num_gpus=0,
                lease_seconds=self.context.settings.lease_seconds,
                boot_id=self.context.boot_id,
            )
        assert claim is not None, "there is no job to claim"
        return claim

    def run(self) -> Job:
        """Run one attempt at the next job, from its claim to its end, and return the job."""
        claim = self.claim()
        self._supervisor(claim).run()
        return self.job(claim.job_id)

    def start(self) -> tuple[Claim, threading.Thread]:
        """Run an attempt in a thread."""
        claim = self.claim()
        thread = threading.Thread(target=self._supervisor(claim).run)
        self._threads.append(thread)
        thread.start()
        return claim, thread

    def end(self) -> None:
        """Stop as at the end of a worker."""
        self.context.stopping.set()
        for thread in self._threads:
            thread.join(deadline(20))

    def folder(self, claim: Claim) -> Path:
        job = encode("job", claim.job_id)
        return self.context.settings.runs_dir / job / f"attempt-{claim.attempt:04d}"

    def stored(self, key: str) -> Path:
        """Return the path of a key in the artifact store, which is a folder here."""
        path = self.context.artifacts.local(key)
        assert path is not None
        return path

    def job(self, job_id: UUID) -> Job:
        with self.context.database.session() as session:
            return jobs.get(session, self.project.id, job_id)

    def cancel(self, job_id: UUID, *, kill: bool) -> None:
        with self.context.database.session() as session:
            transitions.cancel(session, self.project.id, job_id, kill=kill, reason="a test")

    def records(self, job_id: UUID) -> list[Record]:
        with self.context.database.session() as session:
            return log.read(session, job_id, limit=10_000, superseded=True)

    def _supervisor(self, claim: Claim) -> Supervisor:
        return Supervisor(self.context, claim, Slot(()), claimed_at=time.monotonic())


@pytest.fixture
def desk(context: WorkerContext) -> Iterator[Desk]:
    made = Desk(context)
    yield made
    made.end()
