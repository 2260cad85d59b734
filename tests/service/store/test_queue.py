"""Reasons for a queued job's wait, and their messages."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from store.jobs import leases
from store.jobs.claim import Claim
from store.jobs.outcomes import ExitInfo, Failed, Outcome, Stopped
from store.jobs.reaper import reap
from store.states import Status
from tests.service.store.desk import LEASE_SECONDS, Desk

CRASH = Failed({"code": "trainer_crashed", "message": "it died", "hint": "look"}, retryable=True)
RETRY_SECONDS = 10
FUTURE = datetime(2100, 1, 2, 3, 4, 5, tzinfo=UTC)


def change(desk: Desk, statement: str) -> None:
    """Simulate the passage of time in the database."""
    with desk.database.session() as session:
        session.execute(text(statement))


def finish(desk: Desk, claim: Claim, outcome: Outcome) -> Status:
    with desk.database.session() as session:
        return leases.finish(
            session,
            claim.job_id,
            claim.attempt,
            outcome,
            ExitInfo(),
            retry_seconds=RETRY_SECONDS,
        )


def swept(desk: Desk) -> bool:
    """Whether the reaper would send wake-ups."""
    with desk.database.session() as session:
        result = reap(
            session, outage_seconds=30, lease_seconds=LEASE_SECONDS, retry_seconds=RETRY_SECONDS
        )
        return result.queued


def test_a_job_is_not_begun_before_its_time(desk: Desk):
    later = desk.submit(resources={"not_before": FUTURE.isoformat(), "priority": 9})
    assert desk.claim() is None
    assert not swept(desk)
    assert desk.waiting(later).waiting_for == "its start time, 2100-01-02T03:04:05Z"
    now = desk.submit()
    assert desk.waiting(now).position == 1  # who is not due is in nobody's way

    change(desk, f"update jobs set not_before = now() - interval '1 s' where id = '{later}'")
    assert swept(desk)
    assert desk.waiting(later).waiting_for == "a worker for queue 'default'"
    claim = desk.claim()
    assert claim is not None
    assert claim.job_id == later


def test_a_time_in_another_zone_is_the_same_moment(desk: Desk):
    job_id = desk.submit(resources={"not_before": "2100-01-02T05:04:05+02:00"})
    assert desk.job(job_id).not_before == FUTURE


def test_each_failure_in_a_row_triples_the_wait(desk: Desk):
    job_id = desk.submit(resources={"max_failures": 7})
    waits = []
    for _ in range(6):
        claim = desk.claim()
        assert claim is not None
        assert finish(desk, claim, CRASH) is Status.QUEUED
        retry_at, ended_at = desk.job(job_id).retry_at, desk.attempt(claim).ended_at
        assert retry_at is not None
        assert ended_at is not None
        waits.append((retry_at - ended_at) / timedelta(seconds=1))
        assert desk.claim() is None
        change(desk, "update jobs set retry_at = now() - interval '1 s'")
    assert waits == [10, 30, 90, 270, 600, 600]


def test_a_job_that_waits_after_a_failure_shows_its_retry_time_and_sends_no_wake_up(desk: Desk):
    claim = desk.running()
    finish(desk, claim, CRASH)
    change(desk, f"update jobs set retry_at = '{FUTURE}'")
    said = desk.waiting(claim.job_id)
    assert said.waiting_for == "its next attempt at 2100-01-02T03:04:05Z, after failure 1 of 3"
    assert said.since == desk.attempt(claim).ended_at
    assert not swept(desk)


def test_a_stop_costs_no_wait(desk: Desk):
    claim = desk.running()
    finish(desk, claim, CRASH)
    change(desk, "update jobs set retry_at = now() - interval '1 s'")
    again = desk.claim()
    assert again is not None
    assert finish(desk, again, Stopped()) is Status.QUEUED
    assert desk.job(claim.job_id).retry_at is None
    assert desk.claim() is not None


def test_the_last_failure_schedules_no_retry(desk: Desk):
    claim = desk.running(resources={"max_failures": 1})
    assert finish(desk, claim, CRASH) is Status.FAILED
    assert desk.job(claim.job_id).retry_at is None


def test_a_lost_attempt_is_a_failure_that_waits(desk: Desk):
    claim = desk.running()
    swept(desk)
    change(desk, "update sweeps set hold_until = now() - interval '1 s'")
    change(desk, "update jobs set lease_expires_at = now() - interval '1 s'")
    assert not swept(desk)  # it is queued, and not yet due
    retry_at, ended_at = desk.job(claim.job_id).retry_at, desk.attempt(claim).ended_at
    assert retry_at is not None
    assert ended_at is not None
    assert retry_at - ended_at == timedelta(seconds=10)


def test_since_is_the_time_of_queueing_or_of_becoming_due(desk: Desk):
    job_id = desk.submit()
    created_at = desk.job(job_id).created_at
    assert desk.waiting(job_id).since == created_at
    change(desk, f"update jobs set not_before = '{FUTURE}'")
    assert desk.waiting(job_id).since == created_at
    due_at = created_at + timedelta(microseconds=1)
    change(desk, f"update jobs set not_before = '{due_at}'")
    assert desk.waiting(job_id).since == due_at


def test_a_resume_ends_the_wait_after_a_failure(desk: Desk):
    claim = desk.running()
    finish(desk, claim, CRASH)
    desk.pause(claim.job_id)
    assert desk.resume(claim.job_id).retry_at is None
    assert desk.claim_of(claim.job_id).attempt == 2


def test_a_resume_ends_no_wait_for_the_start_time(desk: Desk):
    job_id = desk.submit(resources={"not_before": FUTURE.isoformat()})
    desk.pause(job_id)
    desk.resume(job_id)
    assert desk.claim() is None
    change(desk, "update jobs set not_before = now() - interval '1 s'")
    assert desk.claim_of(job_id).attempt == 1
