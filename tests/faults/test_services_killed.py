"""kill -9 of both workers, of the API and of Redis: each job reaches its one end."""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import LiteralString
from uuid import UUID

import httpx
import psycopg
import pytest
import redis

from store.access import keys
from store.ids import decode
from store.settings import Settings
from store.wake_up import QUEUE
from tests.faults.conftest import FAST, Fleet, Unbroken
from tests.faults.outcome import assert_right_end
from tests.faults.own_services import OwnApi, own_api, own_valkey
from worker.celery_app import make_app
from worker.processes import group_members
from worker.wake_up import send_wake_up

SCRIPTED = Path(__file__).parents[1] / "service" / "worker" / "scripted_worker.py"
SHORT = {**FAST, "budget": {"max_steps": 2}}
HOUR = 3600


def hold_once_saved(fleet: Fleet, job_ids: Sequence[UUID]) -> list[int]:
    """Suspend each job's trainer once its first checkpoint is registered."""
    held: dict[UUID, int] = {}

    def all_held() -> bool:
        for job_id in set(job_ids) - held.keys():
            if fleet.checkpoints(job_id):
                held[job_id] = fleet.trainer(job_id)
                os.kill(held[job_id], signal.SIGSTOP)
        return len(held) == len(job_ids)

    fleet.wait_until(all_held)
    return list(held.values())


@pytest.mark.nightly
def test_both_workers_killed_at_once_cost_an_attempt_each_and_no_step(
    fleet: Fleet, unbroken: Unbroken
):
    workers = [fleet.start_worker(), fleet.start_worker()]
    job_ids = [fleet.submit({**FAST, "seed": seed}) for seed in (1, 2)]
    trainers = hold_once_saved(fleet, job_ids)
    for worker in workers:
        worker.send(signal.SIGKILL)
    for worker in workers:
        worker.wait()
    fleet.wait_until(lambda: not any(map(group_members, trainers)), seconds=5)

    fleet.start_worker()
    for job_id in job_ids:
        assert_right_end(fleet, job_id, unbroken)
        assert [attempt.outcome for attempt in fleet.attempts(job_id)] == ["lost", "completed"]


GATE: LiteralString = "4711"
"""An advisory lock: while the test holds it, no job's insertion gets past its trigger."""

IN_ITS_STATEMENT: LiteralString = "before insert on jobs"
IN_ITS_COMMIT: LiteralString = "after insert on jobs deferrable initially deferred"


@contextmanager
def closed_gate(fleet: Fleet, where: LiteralString) -> Iterator[psycopg.Connection]:
    """Block inserts of jobs until the block ends; waiting ones then continue."""
    constraint = "constraint" if "deferrable" in where else ""
    with psycopg.connect(fleet.database.listen_url, autocommit=True) as connection:
        connection.execute(
            f"""
            create function gate() returns trigger language plpgsql as
              $$ begin perform pg_advisory_xact_lock({GATE}); return new; end $$;
            create {constraint} trigger gate {where} for each row execute function gate();
            """
        )
        connection.execute(f"select pg_advisory_lock({GATE})")
        yield connection


def somebody_waits(connection: psycopg.Connection) -> bool:
    query = "select 1 from pg_locks where locktype = 'advisory' and not granted"
    return connection.execute(query).fetchone() is not None


@pytest.mark.parametrize(
    ("where", "committed"),
    [
        pytest.param(IN_ITS_STATEMENT, False, id="in its statement"),
        pytest.param(IN_ITS_COMMIT, True, id="in its commit"),
    ],
)
def test_an_api_killed_in_a_submission_makes_one_job_when_its_client_repeats_it(
    fleet: Fleet, tmp_path: Path, where: LiteralString, committed: bool
):
    """Postgres completes a commit whose client dies, and rolls back the rest."""
    with fleet.database.session() as session:
        _, key = keys.create_key(session, fleet.project, "client", ["submit"])
    with own_api(fleet.settings, tmp_path / "api.log") as api:
        with closed_gate(fleet, where) as gate:
            asking = Thread(target=submit_in_vain, args=[api, key])
            asking.start()
            fleet.wait_until(lambda: somebody_waits(gate))
            api.kill()
            asking.join()
        api.start()
        answer = submit(api, key)
    assert answer.status_code == 201
    assert ("Idempotent-Replayed" in answer.headers) == committed
    with psycopg.connect(fleet.database.listen_url) as connection:
        [(job_id,)] = connection.execute("select id from jobs").fetchall()
    assert decode("job", answer.json()["id"]) == job_id

    fleet.start_worker(script=SCRIPTED)
    assert assert_right_end(fleet, job_id, None).attempt == 1


def submit(api: OwnApi, key: str) -> httpx.Response:
    spec = {"labels": {"script": "step step complete"}}
    with api.client(key) as client:
        return client.post("/v1/jobs", json=spec, headers={"Idempotency-Key": "once"})


def submit_in_vain(api: OwnApi, key: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        submit(api, key)


@pytest.mark.nightly
@pytest.mark.parametrize(
    "loses_data",
    [pytest.param(False, id="with its data"), pytest.param(True, id="without its data")],
)
def test_a_redis_outage_does_not_affect_training_and_wake_ups_resume_after_it(
    settings: Settings, fleet: Fleet, unbroken: Unbroken, tmp_path: Path, loses_data: bool
):
    """With polls an hour apart, only a wake-up brings an idle worker a job."""
    with own_valkey(tmp_path / "valkey") as valkey:
        fleet.settings = settings.model_copy(update={"redis_url": valkey.url, "poll_seconds": HOUR})
        worker = fleet.start_worker()
        in_training, waiting = fleet.submit(FAST), fleet.submit(SHORT)
        fleet.wait_until(lambda: fleet.checkpoints(in_training))
        valkey.kill()
        if loses_data:
            valkey.lose_data()
        job = assert_right_end(fleet, in_training, unbroken)
        assert (job.attempt, job.failures) == (1, 0)
        assert_right_end(fleet, waiting, unbroken)  # all that without Redis

        later = fleet.submit(SHORT)
        valkey.start()
        assert assert_right_end(fleet, later, unbroken).attempt == 1
        assert_hears(fleet)
        worker.end()


def assert_hears(fleet: Fleet) -> None:
    """Assert that a wake-up is read; the reaper sends none in this test."""
    assert send_wake_up(make_app(fleet.settings.redis_url, work=do_nothing))
    with redis.Redis.from_url(fleet.settings.redis_url) as client:
        fleet.wait_until(lambda: not client.exists(QUEUE), seconds=20)


def do_nothing() -> None:
    """Never called: this app only sends."""
