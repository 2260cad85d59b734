"""Without Postgres a trainer continues up to its deadline, and no step is lost."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from store.database.database import Database
from store.settings import Settings
from tests.faults.conftest import FAST, Fleet, Unbroken, WorkerProcess
from tests.faults.outcome import assert_right_end
from tests.faults.own_services import OwnPostgres, own_postgres
from worker.processes import group_members

AWAY_SECONDS = 20
SPEC = {**FAST, "budget": {"max_steps": 60}}
"""Spec with some seconds from the first checkpoint to the end."""


@dataclass(frozen=True)
class CutOff:
    """A training worker with a checkpoint, and its Postgres."""

    fleet: Fleet
    postgres: OwnPostgres
    worker: WorkerProcess
    job_id: UUID
    trainer: int


@pytest.fixture
def lease_seconds() -> float:
    return 5


@pytest.fixture
def cut_off(settings: Settings, tmp_path: Path, lease_seconds: float) -> Iterator[CutOff]:
    with own_postgres(tmp_path / "postgres") as postgres:
        database = Database(postgres.url)
        update = {
            "database_url": postgres.url,
            "outage_seconds": 1,
            "lease_seconds": lease_seconds,
        }
        fleet = Fleet(settings.model_copy(update=update), database, tmp_path)
        try:
            yield _in_training(fleet, postgres)
        finally:
            fleet.end()
            database.close()


def _in_training(fleet: Fleet, postgres: OwnPostgres) -> CutOff:
    worker = fleet.start_worker()
    job_id = fleet.submit(SPEC)
    fleet.wait_until(lambda: fleet.checkpoints(job_id))
    trainer = fleet.trainer(job_id)
    assert group_members(trainer), "it has reached its end already"
    return CutOff(fleet, postgres, worker, job_id, trainer)


@pytest.mark.nightly
@pytest.mark.parametrize("lease_seconds", [120])
def test_in_an_outage_shorter_than_the_lease_the_training_continues_to_its_end(
    cut_off: CutOff, unbroken: Unbroken
):
    cut_off.postgres.kill()
    back_at = time.monotonic() + AWAY_SECONDS
    cut_off.fleet.wait_until(lambda: not group_members(cut_off.trainer), seconds=80)
    cut_off.fleet.wait_until(lambda: time.monotonic() > back_at)
    cut_off.postgres.start()
    job = assert_right_end(cut_off.fleet, cut_off.job_id, unbroken)
    assert (job.attempt, job.failures) == (1, 0)


@pytest.mark.nightly
@pytest.mark.parametrize("lease_seconds", [120])
def test_read_only_for_a_while_is_an_outage_like_any_other(cut_off: CutOff, unbroken: Unbroken):
    """Switchover: Postgres refuses writes; only the log reports it, in few lines."""
    with psycopg.connect(cut_off.fleet.database.listen_url, autocommit=True) as connection:
        connection.execute("alter system set default_transaction_read_only = on")
        connection.execute("select pg_reload_conf()")
        back_at = time.monotonic() + AWAY_SECONDS
        cut_off.fleet.wait_until(lambda: time.monotonic() > back_at, seconds=2 * AWAY_SECONDS)
        connection.execute("alter system reset default_transaction_read_only")
        connection.execute("select pg_reload_conf()")
    job = assert_right_end(cut_off.fleet, cut_off.job_id, unbroken)
    assert (job.attempt, job.failures) == (1, 0)
    told = cut_off.worker.log.read_text()
    assert 0 < told.count("postgres_away") < 10
    assert "Traceback" not in told


@pytest.mark.nightly
def test_in_an_outage_longer_than_the_lease_the_trainer_ends_and_no_step_is_lost(
    cut_off: CutOff, unbroken: Unbroken, lease_seconds: float
):
    os.kill(cut_off.trainer, signal.SIGSTOP)  # it would reach its end before its deadline
    cut_off.postgres.kill()
    cut_off.worker.send(signal.SIGSTOP)  # nor can it be the worker who ends the trainer
    over_at = time.monotonic() + lease_seconds
    cut_off.fleet.wait_until(lambda: time.monotonic() > over_at)
    os.kill(cut_off.trainer, signal.SIGCONT)
    cut_off.fleet.wait_until(lambda: not group_members(cut_off.trainer), seconds=5)
    cut_off.worker.send(signal.SIGCONT)
    cut_off.postgres.start()
    job = assert_right_end(cut_off.fleet, cut_off.job_id, unbroken)
    assert (job.attempt, job.failures) == (2, 0)


@pytest.mark.nightly
def test_in_an_outage_longer_than_the_lease_a_hanging_trainer_is_killed_by_its_worker(
    cut_off: CutOff, unbroken: Unbroken, lease_seconds: float
):
    cut_off.postgres.kill()
    os.kill(cut_off.trainer, signal.SIGSTOP)
    cut_off.fleet.wait_until(lambda: not group_members(cut_off.trainer), seconds=lease_seconds)
    cut_off.postgres.start()
    job = assert_right_end(cut_off.fleet, cut_off.job_id, unbroken)
    assert (job.attempt, job.failures) == (2, 0)
