"""The sweep: what nobody holds is put back, and an outage expires nobody."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from store import workers
from store.database import Database
from store.errors import LeaseLost
from store.jobs import leases
from store.jobs.leases import Stopped
from store.jobs.reaper import SWEEP_LOCK, SweepResult, sweep
from store.states import Status
from tests.service.store.desk import LEASE_SECONDS, Desk, metric
from tests.waiting import deadline

OUTAGE_SECONDS = 30
NOTHING = SweepResult(requeued=0, failed=0, queued=False)


def run(database: Database) -> SweepResult:
    with database.session() as session:
        return sweep(session, outage_seconds=OUTAGE_SECONDS, lease_seconds=LEASE_SECONDS)


def change(database: Database, statement: str) -> None:
    """Let time pass, as far as the database can tell."""
    with database.session() as session:
        session.execute(text(statement))


@pytest.fixture
def swept(database: Database) -> Database:
    """Sweeps have been going on for a while."""
    run(database)
    change(database, "update sweeps set hold_until = now() - interval '1 s'")
    return database


EXPIRE = "update jobs set lease_expires_at = now() - interval '1 s' where status = 'running'"


def test_an_attempt_whose_lease_is_over_is_lost_and_its_job_waits_again(
    desk: Desk, swept: Database
):
    claim, other = desk.running(), desk.running()
    assert run(swept) == NOTHING
    change(swept, f"{EXPIRE} and id = '{claim.job_id}'")
    assert run(swept) == SweepResult(requeued=1, failed=0, queued=True)
    job, attempt = desk.job(claim.job_id), desk.attempt(claim)
    assert (job.status, job.failures) == (Status.QUEUED, 1)
    assert "the worker on host-a fell silent" in job.status_reason
    assert attempt.outcome == "lost"
    assert attempt.error is not None
    assert attempt.error["code"] == "worker_lost"
    assert desk.job(other.job_id).status is Status.RUNNING
    with pytest.raises(LeaseLost):
        desk.sync(claim, metric(1, 1))
    again = desk.claim()
    assert again is not None
    assert (again.job_id, again.attempt) == (claim.job_id, 2)


def test_a_job_that_is_lost_too_often_fails(desk: Desk, swept: Database):
    claim = desk.running(resources={"max_failures": 1})
    change(swept, EXPIRE)
    assert run(swept) == SweepResult(requeued=0, failed=1, queued=False)
    error = desk.job(claim.job_id).error
    assert error is not None
    assert error["code"] == "worker_lost"


def test_a_lost_job_that_was_to_be_cancelled_is(desk: Desk, swept: Database):
    claim = desk.running()
    desk.cancel(claim.job_id)
    change(swept, EXPIRE)
    run(swept)
    assert desk.job(claim.job_id).status is Status.CANCELLED


def test_after_an_outage_the_sweep_waits_one_lease(desk: Desk, swept: Database):
    claim = desk.running()
    change(swept, "update sweeps set last_sweep_at = now() - interval '31 s'")
    change(swept, EXPIRE)
    assert run(swept) == NOTHING
    assert run(swept) == NOTHING
    assert desk.sync(claim) == "run"  # the worker is back in time
    change(swept, "update sweeps set hold_until = now() - interval '1 s'")
    assert run(swept) == NOTHING
    change(swept, EXPIRE)
    assert run(swept).requeued == 1


def test_the_wait_after_an_outage_is_one_lease_long(database: Database):
    run(database)
    with database.session() as session:
        held = session.scalar(
            text("select extract(epoch from hold_until - last_sweep_at) from sweeps")
        )
    assert held == LEASE_SECONDS


def test_a_late_sweep_is_no_outage(desk: Desk, swept: Database):
    desk.running()
    change(swept, "update sweeps set last_sweep_at = now() - interval '20 s'")
    change(swept, EXPIRE)
    assert run(swept).requeued == 1


def test_while_one_sweeps_the_others_do_nothing(desk: Desk, swept: Database):
    claim = desk.running()
    change(swept, EXPIRE)
    with swept.session() as session:
        session.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": SWEEP_LOCK})
        assert run(swept) == NOTHING
    assert run(swept).requeued == 1
    assert len(desk.records(claim.job_id, "status")) == 3


def test_sweeps_at_once_end_an_attempt_once(desk: Desk, swept: Database):
    claims = [desk.running() for _ in range(5)]
    change(swept, EXPIRE)
    gate = threading.Barrier(4)

    def one() -> SweepResult:
        gate.wait(deadline(10))
        return run(swept)

    with ThreadPoolExecutor(4) as pool:
        results = [sweeping.result() for sweeping in [pool.submit(one) for _ in range(4)]]
    assert sum(result.requeued for result in results) == 5
    for claim in claims:
        assert [r.payload["status"] for r in desk.records(claim.job_id, "status")] == [
            "queued",
            "running",
            "queued",
        ]


def test_a_worker_that_syncs_while_the_sweep_looks_keeps_its_job(desk: Desk, swept: Database):
    claim = desk.running()
    change(swept, EXPIRE)
    with swept.session() as session:
        leases.sync(session, claim.job_id, claim.attempt, [], LEASE_SECONDS)
        assert run(swept) == NOTHING  # the row is locked, and is left alone
    assert run(swept) == NOTHING  # the lease is new
    assert desk.finish(claim, Stopped()) is Status.QUEUED


def test_silent_workers_are_marked_gone_and_come_back(desk: Desk, swept: Database):
    def there() -> list[str]:
        with swept.session() as session:
            return [worker.host for worker in workers.list_workers(session)]

    with swept.session() as session:
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
    run(swept)
    assert there() == ["host-a"]
    change(swept, "update workers set last_seen_at = now() - interval '61 s'")
    run(swept)
    assert there() == []
    with swept.session() as session:
        workers.beat(session, desk.worker_id)
    assert there() == ["host-a"]
    with swept.session() as session:
        workers.leave(session, desk.worker_id)
    assert there() == []
