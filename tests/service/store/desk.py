"""A project with a key, and shortcuts for transitions of its jobs; each call is one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Unpack
from uuid import UUID

from sqlalchemy.orm import Session

from grpo.spec.job import JobSpec
from grpo.spec.resolve import resolve
from store.access import keys
from store.database.database import Database
from store.ids import new_id
from store.jobs import jobs, leases, transitions
from store.jobs import queue_position as waiting
from store.jobs.claim import Claim, claim_next
from store.jobs.outcomes import ExitInfo, Outcome
from store.jobs.queue_position import Waiting
from store.log import log
from store.log.log import Entry
from store.states import Status, Wanted
from store.tables import Attempt, Checkpoint, Job, Record

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LEASE_SECONDS = 60


def metric(n: int, step: int, **values: float) -> Entry:
    """A metric record; without values it has a reward, equal to its step."""
    return Entry(n=n, kind="metric", step=step, at=AT, payload=values or {"reward": float(step)})


@dataclass(frozen=True)
class Desk:
    """One project's jobs, and a worker."""

    database: Database
    project_id: UUID
    key_id: UUID
    worker_id: UUID

    def submit(self, **spec: Any) -> UUID:
        with self.database.session() as session:
            job = jobs.submit(
                session,
                project_id=self.project_id,
                key_id=self.key_id,
                spec=resolve(spec),
                total_steps=None,
            )
            return job.id

    def claim(self, *, queues: Sequence[str] = ("default",), num_gpus: int = 0) -> Claim | None:
        with self.database.session() as session:
            return self.claim_in(session, queues=queues, num_gpus=num_gpus)

    def claim_in(
        self, session: Session, *, queues: Sequence[str] = ("default",), num_gpus: int = 0
    ) -> Claim | None:
        """In a transaction that is still open."""
        return claim_next(
            session,
            worker_id=self.worker_id,
            host="host-a",
            queues=queues,
            num_gpus=num_gpus,
            lease_seconds=LEASE_SECONDS,
            boot_id="boot-1",
        )

    def running(self, **spec: Any) -> Claim:
        """A new job, claimed."""
        return self.claim_of(self.submit(**spec))

    def claim_of(self, job_id: UUID) -> Claim:
        """Claim the next job, which must be this one."""
        claim = self.claim()
        assert claim is not None
        assert claim.job_id == job_id
        return claim

    def sync(self, claim: Claim, *entries: Entry) -> Wanted:
        with self.database.session() as session:
            return leases.sync(session, claim.job_id, claim.attempt, entries, LEASE_SECONDS)

    def save(self, claim: Claim, *, step: int, n: int, final: bool = False) -> Checkpoint:
        with self.database.session() as session:
            return leases.register_checkpoint(
                session,
                claim.job_id,
                claim.attempt,
                step=step,
                key=f"jobs/{claim.job_id}/attempt-{claim.attempt}/step-{step}",
                manifest={"format": 1, "step": step, "files": []},
                bytes=10,
                final=final,
                n=n,
            )

    def finish(self, claim: Claim, outcome: Outcome, log_tail: str = "") -> Status:
        with self.database.session() as session:
            return leases.finish(
                session, claim.job_id, claim.attempt, outcome, ExitInfo(code=0, log_tail=log_tail)
            )

    def cancel(self, job_id: UUID, *, kill: bool = False, reason: str = "by a test") -> Job:
        with self.database.session() as session:
            return transitions.cancel(session, self.project_id, job_id, kill=kill, reason=reason)

    def pause(self, job_id: UUID, *, reason: str = "by a test") -> Job:
        with self.database.session() as session:
            return transitions.pause(session, self.project_id, job_id, reason=reason)

    def resume(self, job_id: UUID, *, reason: str = "by a test") -> Job:
        with self.database.session() as session:
            return transitions.resume(session, self.project_id, job_id, reason=reason)

    def change(self, job_id: UUID, **wanted: Unpack[transitions.Change]) -> Job:
        with self.database.session() as session:
            return transitions.change(session, self.project_id, job_id, wanted, by="a test")

    def retry(self, job_id: UUID) -> Job:
        with self.database.session() as session:
            ended = transitions.ended(session, self.project_id, job_id)
            spec = JobSpec.model_validate(ended.spec)
            return transitions.retry(
                session, ended, key_id=self.key_id, spec=spec, total_steps=None, by="a test"
            )

    def delete(self, job_id: UUID) -> None:
        with self.database.session() as session:
            transitions.delete(session, self.project_id, job_id)

    def job(self, job_id: UUID) -> Job:
        with self.database.session() as session:
            return jobs.get(session, self.project_id, job_id)

    def waiting(self, job_id: UUID) -> Waiting:
        with self.database.session() as session:
            found = [jobs.get(session, self.project_id, job_id)]
            return waiting.of_jobs(session, found, jobs.timelines(session, found))[job_id]

    def attempt(self, claim: Claim) -> Attempt:
        with self.database.session() as session:
            return session.get_one(Attempt, (claim.job_id, claim.attempt))

    def records(
        self, job_id: UUID, *kinds: str, superseded: bool = False, after: int = 0
    ) -> list[Record]:
        with self.database.session() as session:
            return log.read(
                session,
                job_id,
                kinds=kinds or None,
                after=after,
                limit=10_000,
                superseded=superseded,
            )


def make_desk(database: Database, project: str) -> Desk:
    """A desk for a project of that name."""
    with database.session() as session:
        owner = keys.create_project(session, project)
        key, _ = keys.create_key(session, owner, "tests", ["read", "submit"])
        return Desk(database, owner.id, key.id, new_id())
