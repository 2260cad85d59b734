"""kill -9 of Postgres with all its processes, during every request of a worker."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from store.database.database import Database
from store.settings import Settings
from tests.faults.conftest import FAST, Fleet, Unbroken
from tests.faults.outcome import assert_right_end
from tests.faults.own_services import OwnPostgres, own_postgres

SCRIPTED = Path(__file__).parents[1] / "service" / "worker" / "scripted_worker.py"
SPEC = {"labels": {"script": "step step save step complete"}}

# No standby ever answers, so a transaction that wants to hear of one waits after its commit.
NO_STANDBY = ("-c", "synchronous_standby_names=nobody", "-c", "synchronous_commit=local")


@dataclass(frozen=True)
class Own:
    """A fleet with its own Postgres, which may be killed."""

    postgres: OwnPostgres
    fleet: Fleet


@pytest.fixture
def own(settings: Settings, tmp_path: Path) -> Iterator[Own]:
    with own_postgres(tmp_path / "postgres", options=NO_STANDBY) as postgres:
        database = Database(postgres.url)
        update = {"database_url": postgres.url, "outage_seconds": 1}
        fleet = Fleet(settings.model_copy(update=update), database, tmp_path)
        yield Own(postgres, fleet)
        fleet.end()
        database.close()


@pytest.mark.nightly
def test_killed_during_training_it_costs_neither_an_attempt_nor_a_step(
    own: Own, unbroken: Unbroken
):
    fleet = own.fleet
    fleet.settings = fleet.settings.model_copy(update={"lease_seconds": 60})
    fleet.start_worker()
    job_id = fleet.submit(FAST)
    for step in (2, 10):
        fleet.wait_until(lambda step=step: fleet.job(job_id).step >= step)
        own.postgres.kill()
        own.postgres.start()
    job = assert_right_end(fleet, job_id, unbroken)
    assert (job.attempt, job.failures) == (1, 0)


Move = tuple[LiteralString, LiteralString]
"""Transitions of a worker, as event and condition of a trigger."""
CLAIM: Move = "update on jobs", "new.status = 'running' and old.status = 'queued'"
SHIPMENT: Move = "update on jobs", "new.step > old.step"
REGISTRATION: Move = "insert on checkpoints", "not new.final"
FINISH: Move = "update on jobs", "new.status = 'succeeded'"

GATE: LiteralString = "4711"
"""An advisory lock that the test holds until its session is killed with the rest."""
UNDECIDED: LiteralString = f"perform pg_advisory_xact_lock({GATE})"
COMMITTED: LiteralString = "perform set_config('synchronous_commit', 'on', true)"
"""Block after the commit: the transaction is durable, but not answered."""


@contextmanager
def closed_gate(
    postgres: OwnPostgres, move: Move, where: LiteralString
) -> Iterator[psycopg.Connection]:
    """Block that transition until Postgres is killed."""
    event, when = move
    connection = psycopg.connect(postgres.url.replace("+psycopg", ""), autocommit=True)
    connection.execute(
        f"""
        create function gate() returns trigger language plpgsql as $$
          begin
            if not pg_try_advisory_xact_lock({GATE}) then {where}; end if;
            return new;
          end $$;
        create trigger gate before {event} for each row when ({when}) execute function gate();
        """
    )
    connection.execute(f"select pg_advisory_lock({GATE})")
    yield connection
    connection.close()


def somebody_waits(gate: psycopg.Connection) -> bool:
    query = "select 1 from pg_stat_activity where wait_event in ('advisory', 'SyncRep')"
    return gate.execute(query).fetchone() is not None


@pytest.mark.parametrize(
    ("move", "where", "outcomes"),
    [
        pytest.param(CLAIM, UNDECIDED, ["completed"], id="claim", marks=pytest.mark.nightly),
        # Nobody knows of that attempt: only its lease ends it.
        pytest.param(CLAIM, COMMITTED, ["lost", "completed"], id="claim, committed"),
        pytest.param(SHIPMENT, UNDECIDED, ["completed"], id="shipment", marks=pytest.mark.nightly),
        pytest.param(
            SHIPMENT, COMMITTED, ["completed"], id="shipment, committed", marks=pytest.mark.nightly
        ),
        pytest.param(
            REGISTRATION, UNDECIDED, ["completed"], id="registration", marks=pytest.mark.nightly
        ),
        pytest.param(REGISTRATION, COMMITTED, ["completed"], id="registration, committed"),
        pytest.param(FINISH, UNDECIDED, ["completed"], id="finish", marks=pytest.mark.nightly),
        pytest.param(FINISH, COMMITTED, ["completed"], id="finish, committed"),
    ],
)
def test_killed_during_a_transition_it_happens_once_committed_or_not(
    own: Own, move: Move, where: LiteralString, outcomes: list[str]
):
    fleet = own.fleet
    lease_seconds = 5 if move is CLAIM else 60
    fleet.settings = fleet.settings.model_copy(update={"lease_seconds": lease_seconds})
    with closed_gate(own.postgres, move, where) as gate:
        fleet.start_worker(script=SCRIPTED)
        job_id = fleet.submit(SPEC)
        fleet.wait_until(lambda: somebody_waits(gate))
        own.postgres.kill()
    own.postgres.start()
    job = assert_right_end(fleet, job_id, None)
    assert job.step == 3
    assert [attempt.outcome for attempt in fleet.attempts(job_id)] == outcomes
    assert [checkpoint.step for checkpoint in fleet.checkpoints(job_id)] == [2, 3]
