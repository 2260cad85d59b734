"""The reaper ends lost attempts, and none after an outage."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from store import workers
from store.database.database import Database
from store.errors import LeaseLost
from store.jobs import leases
from store.jobs.outcomes import Stopped
from store.jobs.reaper import REAPER_LOCK, Reaped, reap
from store.states import Status
from tests.service.store.desk import LEASE_SECONDS, Desk, metric
from tests.waiting import deadline

OUTAGE_SECONDS = 30
NOTHING = Reaped(requeued=0, failed=0, queued=False)


def run(database: Database) -> Reaped:
    with database.session() as session:
        return reap(session, outage_seconds=OUTAGE_SECONDS, lease_seconds=LEASE_SECONDS)


def change(database: Database, statement: str) -> None:
    """Simulate the passage of time in the database."""
    with database.session() as session:
        session.execute(text(statement))


@pytest.fixture
def reaped(database: Database) -> Database:
    """A database whose reaper has run for a while."""
    run(database)
    change(database, "update sweeps set hold_until = now() - interval '1 s'")
    return database


EXPIRE = "update jobs set lease_expires_at = now() - interval '1 s' where status = 'running'"


def test_an_attempt_with_an_expired_lease_is_lost_and_its_job_is_requeued(
    desk: Desk, reaped: Database
):
    claim, other = desk.running(), desk.running()
    assert run(reaped) == NOTHING
    change(reaped, f"{EXPIRE} and id = '{claim.job_id}'")
    assert run(reaped) == Reaped(requeued=1, failed=0, queued=True)
    job, attempt = desk.job(claim.job_id), desk.attempt(claim)
    assert (job.status, job.failures) == (Status.QUEUED, 1)
    assert "the worker on host-a stopped reporting" in job.status_reason
    assert attempt.outcome == "lost"
    assert attempt.error is not None
    assert attempt.error["code"] == "worker_lost"
    assert desk.job(other.job_id).status is Status.RUNNING
    with pytest.raises(LeaseLost):
        desk.sync(claim, metric(1, 1))
    again = desk.claim()
    assert again is not None
    assert (again.job_id, again.attempt) == (claim.job_id, 2)


def test_a_job_that_is_lost_too_often_fails(desk: Desk, reaped: Database):
    claim = desk.running(resources={"max_failures": 1})
    change(reaped, EXPIRE)
    assert run(reaped) == Reaped(requeued=0, failed=1, queued=False)
    error = desk.job(claim.job_id).error
    assert error is not None
    assert error["code"] == "worker_lost"


def test_a_lost_job_that_was_to_be_cancelled_is(desk: Desk, reaped: Database):
    claim = desk.running()
    desk.cancel(claim.job_id)
    change(reaped, EXPIRE)
    run(reaped)
    assert desk.job(claim.job_id).status is Status.CANCELLED


def test_after_an_outage_the_reaper_waits_one_lease(desk: Desk, reaped: Database):
    claim = desk.running()
    change(reaped, "update sweeps set last_sweep_at = now() - interval '31 s'")
    change(reaped, EXPIRE)
    assert run(reaped) == NOTHING
    assert run(reaped) == NOTHING
    assert desk.sync(claim) == "run"  # the worker is back in time
    change(reaped, "update sweeps set hold_until = now() - interval '1 s'")
    assert run(reaped) == NOTHING
    change(reaped, EXPIRE)
    assert run(reaped).requeued == 1


def test_the_wait_after_an_outage_is_one_lease_long(database: Database):
    run(database)
    with database.session() as session:
        held = session.scalar(
            text("select extract(epoch from hold_until - last_sweep_at) from sweeps")
        )
    assert held == LEASE_SECONDS


def test_a_late_run_of_the_reaper_is_not_an_outage(desk: Desk, reaped: Database):
    desk.running()
    change(reaped, "update sweeps set last_sweep_at = now() - interval '20 s'")
    change(reaped, EXPIRE)
    assert run(reaped).requeued == 1


def test_only_one_reaper_runs_at_a_time(desk: Desk, reaped: Database):
    claim = desk.running()
    change(reaped, EXPIRE)
    with reaped.session() as session:
        session.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": REAPER_LOCK})
        assert run(reaped) == NOTHING
    assert run(reaped).requeued == 1
    assert len(desk.records(claim.job_id, "status")) == 3


def test_reapers_at_once_end_an_attempt_once(desk: Desk, reaped: Database):
    claims = [desk.running() for _ in range(5)]
    change(reaped, EXPIRE)
    gate = threading.Barrier(4)

    def one() -> Reaped:
        gate.wait(deadline(10))
        return run(reaped)

    with ThreadPoolExecutor(4) as pool:
        results = [run.result() for run in [pool.submit(one) for _ in range(4)]]
    assert sum(result.requeued for result in results) == 5
    for claim in claims:
        assert [r.payload["status"] for r in desk.records(claim.job_id, "status")] == [
            "queued",
            "running",
            "queued",
        ]


def test_a_worker_that_syncs_during_a_run_of_the_reaper_keeps_its_job(desk: Desk, reaped: Database):
    claim = desk.running()
    change(reaped, EXPIRE)
    with reaped.session() as session:
        leases.sync(session, claim.job_id, claim.attempt, [], LEASE_SECONDS)
        assert run(reaped) == NOTHING  # the row is locked, and is left alone
    assert run(reaped) == NOTHING  # the lease is new
    assert desk.finish(claim, Stopped()) is Status.QUEUED


def test_silent_workers_are_marked_gone_and_come_back(desk: Desk, reaped: Database):
    def there() -> list[str]:
        with reaped.session() as session:
            return [worker.host for worker in workers.list_workers(session)]

    with reaped.session() as session:
        workers.register(
            session,
            worker_id=desk.worker_id,
            host="host-a",
            boot_id="boot-1",
            pid=1,
            queues=["default"],
            num_gpus=0,
            slots=1,
        )
    run(reaped)
    assert there() == ["host-a"]
    change(reaped, "update workers set last_seen_at = now() - interval '61 s'")
    run(reaped)
    assert there() == []
    with reaped.session() as session:
        workers.beat(session, desk.worker_id)
    assert there() == ["host-a"]
    with reaped.session() as session:
        workers.leave(session, desk.worker_id)
    assert there() == []
