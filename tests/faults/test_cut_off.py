"""A worker without Redis or without Postgres: no job is lost, none runs twice."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from duet.services.child import free_port
from duet.services.postgres import Postgres
from store.database import Database
from store.schema import migrate
from store.settings import Settings
from store.tables import Job
from tests.faults.conftest import FAST, STEPS, Fleet
from worker.processes import group_members


@pytest.fixture
def without_redis(settings: Settings, database: Database, tmp_path: Path) -> Iterator[Fleet]:
    nobody = settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{free_port()}/0"})
    fleet = Fleet(nobody, database, tmp_path)
    yield fleet
    fleet.end()


def test_without_redis_the_poller_finds_the_job_and_the_worker_still_stops(without_redis: Fleet):
    fleet = without_redis
    worker = fleet.start_worker()
    job = fleet.finished(fleet.submit({**FAST, "budget": {"max_steps": 2}}))
    assert job.status == "succeeded", fleet.logs()
    assert job.attempt == 1
    worker.send(signal.SIGTERM)
    assert worker.wait(seconds=20) == 0, fleet.logs()


@pytest.fixture
def own_postgres(tmp_path: Path) -> Iterator[Postgres]:
    """It is killed, so it serves one test only; unlike the shared one it has fsync on."""
    server = Postgres(tmp_path / "postgres")
    server.start()
    migrate(server.url)
    yield server
    server.stop()


@pytest.fixture
def on_own_postgres(own_postgres: Postgres, settings: Settings, tmp_path: Path) -> Iterator[Fleet]:
    database = Database(own_postgres.url)
    update = {"database_url": own_postgres.url, "outage_seconds": 1}
    fleet = Fleet(settings.model_copy(update=update), database, tmp_path)
    yield fleet
    fleet.end()
    database.close()


def test_postgres_killed_and_back_costs_neither_an_attempt_nor_a_record(
    on_own_postgres: Fleet, own_postgres: Postgres
):
    fleet = on_own_postgres
    fleet.settings = fleet.settings.model_copy(update={"lease_seconds": 120})
    fleet.start_worker()
    job_id = fleet.submit(FAST)
    fleet.wait_until(lambda: fleet.checkpoints(job_id))
    trainer = fleet.trainer(job_id)
    own_postgres.kill()
    fleet.wait_until(lambda: not group_members(trainer), seconds=80)  # it trains on to its end
    own_postgres.start()

    job = fleet.finished(job_id)
    assert job.status == "succeeded", fleet.logs()
    assert (job.attempt, job.failures) == (1, 0)
    assert_complete(fleet, job)


def test_postgres_away_for_longer_than_the_lease_costs_an_attempt_but_no_step(
    on_own_postgres: Fleet, own_postgres: Postgres
):
    fleet = on_own_postgres
    fleet.start_worker()
    job_id = fleet.submit(FAST)
    fleet.wait_until(lambda: fleet.checkpoints(job_id))
    trainer = fleet.trainer(job_id)
    own_postgres.kill()
    os.kill(trainer, signal.SIGSTOP)  # so that it does not reach its end before its deadline
    fleet.wait_until(lambda: not group_members(trainer), seconds=fleet.settings.lease_seconds)
    own_postgres.start()

    job = fleet.finished(job_id)
    assert job.status == "succeeded", fleet.logs()
    assert (job.attempt, job.failures) == (2, 0)
    assert_complete(fleet, job)


def assert_complete(fleet: Fleet, job: Job) -> None:
    """Every step counts once, and the log has no gap."""
    steps = [record.step for record in fleet.records(job.id) if record.kind == "metric"]
    assert steps == list(range(1, STEPS + 1))
    seqs = [record.seq for record in fleet.records(job.id, superseded=True)]
    assert seqs == list(range(1, job.last_seq + 1))
