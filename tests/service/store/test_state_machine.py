"""Any sequence of transitions of any jobs ends as in a small model in plain Python."""

from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from store.database.database import Database
from store.errors import Conflict, LeaseLost
from store.ids import encode
from store.jobs import checkpoints, leases
from store.jobs.claim import Claim
from store.jobs.outcomes import Completed, ExitInfo, Failed, Outcome, Stopped
from store.jobs.reaper import reap
from store.tables import Base
from tests.service.store.desk import LEASE_SECONDS, Desk, make_desk, metric
from tests.service.store.invariants import broken
from tests.service.store.job_model import ModelJob, Saved

MOST_LIVE = 4
PICK = st.integers(0, 9)
"""Index from the newest."""

RISING = ("run", "pause", "cancel", "kill")
ERROR = {"code": "trainer_crashed", "message": "it died", "hint": "look"}
OUTCOMES: dict[str, Outcome] = {
    "completed": Completed(),
    "stopped": Stopped(),
    "crashed": Failed(ERROR, retryable=True),
    "hopeless": Failed(ERROR, retryable=False),
    "mended": Failed(ERROR, retryable=True, counts=False),
}


class StoreMachine(RuleBasedStateMachine):
    """Every transition at every status of a job; a claim may belong to an ended attempt."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        with database.session() as session:
            for table in reversed(Base.metadata.sorted_tables):
                session.execute(table.delete())
        self.desk: Desk = make_desk(database, "default")
        self.jobs: dict[UUID, ModelJob] = {}
        self.saved: dict[UUID, Saved] = {}
        self.claims: list[Claim] = []
        self.places = count()
        self._reap()
        self._run("update sweeps set hold_until = now() - interval '1 s'")
        for _ in range(2):
            self.submit(priority=0, max_failures=2)

    @precondition(lambda self: len(self.live_jobs) < MOST_LIVE)
    @rule(priority=st.integers(0, 1), max_failures=st.integers(1, 3))
    def submit(self, priority: int, max_failures: int) -> None:
        resources = {"priority": priority, "max_failures": max_failures}
        job_id = self.desk.submit(resources=resources)
        self.jobs[job_id] = ModelJob(max_failures, priority, next(self.places))

    @rule()
    def claim(self) -> None:
        claim = self.desk.claim()
        queued = [
            (-job.priority, job.place, job_id)
            for job_id, job in self.jobs.items()
            if job.status == "queued"
        ]
        if claim is None:
            assert not queued
            return
        assert claim.job_id == min(queued)[2]
        job = self.jobs[claim.job_id]
        begins = job.last() or job.start
        assert (claim.resume and claim.resume.step) == (begins and begins.step)
        job.status, job.attempt, job.shipped = "running", job.attempt + 1, 0
        job.step = begins.step if begins else 0
        self.claims.append(claim)

    @precondition(lambda self: self.claims)
    @rule(pick=PICK, num_new=st.integers(0, 2))
    def sync(self, pick: int, num_new: int) -> None:
        """Send records again from the first on."""
        claim = self._picked_claim(pick)
        job, first = self.jobs.get(claim.job_id), claim.resume.step if claim.resume else 0
        if job is None or not self._holds(claim):
            with pytest.raises(LeaseLost):
                self.desk.sync(claim, metric(1, first + 1))
            return
        shipped = job.shipped + num_new
        entries = [metric(n, first + n) for n in range(1, shipped + 1)]
        assert self.desk.sync(claim, *entries) == job.wanted
        job.shipped, job.step = shipped, max(job.step, first + shipped)

    @precondition(lambda self: self.claims)
    @rule(pick=PICK, final=st.booleans())
    def save(self, pick: int, final: bool) -> None:
        claim = self._picked_claim(pick)
        job = self.jobs.get(claim.job_id)
        if job is None or not self._holds(claim):
            with pytest.raises(LeaseLost):
                self.desk.save(claim, step=1, n=1, final=final)
            return
        step, taken = job.step, {(item.step, item.attempt) for item in job.saved}
        checkpoint_id = self.desk.save(claim, step=step, n=job.shipped, final=final).id
        if (step, job.attempt) not in taken:
            job.saved.append(Saved(step, job.attempt, final))
            self.saved[checkpoint_id] = job.saved[-1]
            job.failures = 0

    @precondition(lambda self: self.claims)
    @rule(pick=PICK, outcome=st.sampled_from(sorted(OUTCOMES)))
    def finish(self, pick: int, outcome: str) -> None:
        claim = self._picked_claim(pick)
        if not self._holds(claim):
            with pytest.raises(LeaseLost):
                self.desk.finish(claim, OUTCOMES[outcome])
            return
        job = self.jobs[claim.job_id]
        job.end_attempt(outcome)
        assert self.desk.finish(claim, OUTCOMES[outcome]) == job.status

    @precondition(lambda self: self.claims)
    @rule(pick=PICK)
    def find_damage(self, pick: int) -> None:
        claim = self._picked_claim(pick)
        resume = claim.resume
        if resume is None:
            return
        with self.desk.database.session() as session:
            if not self._holds(claim):
                with pytest.raises(LeaseLost):
                    leases.step_over(
                        session, claim.job_id, claim.attempt, resume, ERROR, ExitInfo()
                    )
                return
            status = leases.step_over(
                session, claim.job_id, claim.attempt, resume, ERROR, ExitInfo()
            )
        job = self.jobs[claim.job_id]
        begun = self.saved[resume.id]
        begun.damaged = True
        own = any(item is begun for item in job.saved)
        job.end_attempt("mended" if own else "hopeless")
        assert status == job.status

    @precondition(lambda self: self.claims)
    @rule(pick=PICK)
    def lose(self, pick: int) -> None:
        claim = self._picked_claim(pick)
        if self._holds(claim):
            past = "lease_expires_at = now() - interval '1 s'"
            self._run(f"update jobs set {past} where id = '{claim.job_id}'")
            self.jobs[claim.job_id].end_attempt("lost")
        self._reap()

    @precondition(lambda self: self.jobs)
    @rule(pick=PICK, kill=st.booleans())
    def cancel(self, pick: int, kill: bool) -> None:
        job_id, job = self._picked_job(pick)
        if self._refused(job.ended, self.desk.cancel, job_id, kill=kill):
            return
        job.wanted = max(job.wanted, "kill" if kill else "cancel", key=RISING.index)
        if job.status != "running":
            job.status = "cancelled"

    @precondition(lambda self: self.jobs)
    @rule(pick=PICK)
    def pause(self, pick: int) -> None:
        job_id, job = self._picked_job(pick)
        ending = job.ended or job.wanted in ("cancel", "kill")
        if self._refused(ending, self.desk.pause, job_id):
            return
        job.wanted = "pause"
        if job.status == "queued":
            job.status = "paused"

    @precondition(lambda self: self.jobs)
    @rule(pick=PICK)
    def resume(self, pick: int) -> None:
        job_id, job = self._picked_job(pick)
        ending = job.ended or job.wanted in ("cancel", "kill")
        if self._refused(ending, self.desk.resume, job_id):
            return
        job.wanted = "run"
        if job.status == "paused":
            job.status, job.place = "queued", next(self.places)

    @precondition(lambda self: self.jobs)
    @rule(pick=PICK, priority=st.integers(0, 2))
    def change(self, pick: int, priority: int) -> None:
        job_id, job = self._picked_job(pick)
        fixed = job.status not in ("queued", "paused") and priority != job.priority
        if not self._refused(fixed, self.desk.change, job_id, priority=priority):
            job.priority = priority

    @precondition(lambda self: self.jobs)
    @rule(pick=PICK)
    def retry(self, pick: int) -> None:
        job_id, job = self._picked_job(pick)
        start = self._start_of_retry(job)
        hopeless = start is None and job.start is not None
        refused = not job.ended or hopeless
        made: list[UUID] = []
        if self._refused(refused, lambda: made.append(self.desk.retry(job_id).id)):
            return
        self.jobs[made[0]] = ModelJob(
            job.max_failures,
            job.priority,
            next(self.places),
            start=start,
            retry_of=job_id,
            source=job.source,
        )

    @precondition(lambda self: self.jobs)
    @rule(pick=PICK)
    def fork(self, pick: int) -> None:
        job_id, job = self._picked_job(pick)
        if not job.saved:
            return
        with self.desk.database.session() as session:
            checkpoint = checkpoints.list_checkpoints(session, job_id)[-1]
        forked = self.desk.submit(model={"source": encode("ckpt", checkpoint.id)})
        self.jobs[forked] = ModelJob(3, 0, next(self.places), source=job_id)

    @precondition(lambda self: self.jobs)
    @rule(pick=PICK)
    def delete(self, pick: int) -> None:
        """Refused while an unfinished job starts from one of its checkpoints."""
        job_id, job = self._picked_job(pick)
        needed = any(
            other.source == job_id or any(other.start is item for item in job.saved)
            for other in self.jobs.values()
            if not other.ended
        )
        if self._refused(needed or not job.ended, self.desk.delete, job_id):
            return
        del self.jobs[job_id]
        for other in self.jobs.values():
            if any(other.start is item for item in job.saved):
                other.start = None
            if other.retry_of == job_id:
                other.retry_of = None

    @property
    def live_jobs(self) -> list[tuple[UUID, ModelJob]]:
        return [(job_id, job) for job_id, job in self.jobs.items() if not job.ended]

    @invariant()
    def jobs_are_as_the_model_says(self) -> None:
        for job_id, expected in self.jobs.items():
            job = self.desk.job(job_id)
            found = (job.status, job.wanted, job.attempt, job.failures, job.priority)
            assert found == (
                expected.status,
                expected.wanted,
                expected.attempt,
                expected.failures,
                expected.priority,
            )

    @invariant()
    @precondition(lambda self: self.jobs)
    def every_promise_holds(self) -> None:
        assert not broken(self.desk.database)

    def _start_of_retry(self, job: ModelJob) -> Saved | None:
        while True:
            start = job.start if job.start and not job.start.damaged else None
            found = job.last() or start
            if found is not None or job.retry_of is None:
                return found
            job = self.jobs[job.retry_of]

    def _picked_claim(self, pick: int) -> Claim:
        """At each third pick one that a later attempt of its job has taken over, if there is one;
        else one that holds."""
        live = [claim for claim in self.claims if self._holds(claim)]
        followed = {claim.job_id for claim in live}
        lost = [it for it in self.claims if it.job_id in followed and it not in live]
        among = (live if pick % 3 else lost) or live or self.claims
        return among[-1 - pick % len(among)]

    def _picked_job(self, pick: int) -> tuple[UUID, ModelJob]:
        """Pick an ended job only if no other exists, or at each third pick."""
        among = self.live_jobs if self.live_jobs and pick % 3 else list(self.jobs.items())
        return among[-1 - pick % len(among)]

    def _holds(self, claim: Claim) -> bool:
        job = self.jobs.get(claim.job_id)
        return job is not None and (job.status, job.attempt) == ("running", claim.attempt)

    def _refused(self, expected: bool, move: Any, *args: Any, **kwargs: Any) -> bool:
        if expected:
            with pytest.raises(Conflict):
                move(*args, **kwargs)
        else:
            move(*args, **kwargs)
        return expected

    def _reap(self) -> None:
        with self.desk.database.session() as session:
            reap(session, outage_seconds=30, lease_seconds=LEASE_SECONDS)

    def _run(self, statement: str) -> None:
        with self.desk.database.session() as session:
            session.execute(text(statement))


@pytest.mark.parametrize("num_sequences", [30, pytest.param(200, marks=pytest.mark.nightly)])
def test_every_sequence_of_transitions_ends_as_in_the_model(database: Database, num_sequences: int):
    run_state_machine_as_test(
        lambda: StoreMachine(database),  # pyright: ignore[reportArgumentType]
        settings=settings(
            max_examples=num_sequences,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
