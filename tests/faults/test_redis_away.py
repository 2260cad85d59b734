"""A job's whole life without Redis: submitted, found by polling, run, ended."""

import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from duet.local.services.process import free_port
from store.access import keys
from store.ids import decode
from store.settings import Settings
from tests.faults.conftest import FAST, Fleet, Unbroken
from tests.faults.outcome import assert_right_end
from tests.faults.own_services import own_api
from tests.waiting import deadline

SHORT = {**FAST, "budget": {"max_steps": 2}}
ANSWER_SECONDS = 3
"""Longest time of a submission in any state of Redis, half a second of it for Redis."""

Redis = Callable[[], AbstractContextManager[int]]


@contextmanager
def refusing() -> Iterator[int]:
    """A port without a listener."""
    yield free_port()


@contextmanager
def silent() -> Iterator[int]:
    """A port that accepts connections but never responds, as of a hanging machine."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


@pytest.mark.parametrize("redis", [pytest.param(refusing, marks=pytest.mark.nightly), silent])
def test_a_job_is_submitted_found_run_and_ended_and_the_worker_still_stops(
    settings: Settings, fleet: Fleet, unbroken: Unbroken, tmp_path: Path, redis: Redis
):
    with fleet.database.session() as session:
        _, key = keys.create_key(session, fleet.project, "client", ["read", "submit"])
    with redis() as port:
        away = settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{port}/0"})
        fleet.settings = away
        worker = fleet.start_worker()
        with own_api(away, tmp_path / "api.log") as api, api.client(key) as client:
            began_at = time.monotonic()
            answer = client.post("/v1/jobs", json=SHORT)
            location = answer.headers["Location"]
            assert client.get(location).status_code == 200  # nor does the wake-up hold up the next
            assert time.monotonic() - began_at < deadline(2 * ANSWER_SECONDS)
            assert answer.status_code == 201
            job = assert_right_end(fleet, decode("job", answer.json()["id"]), unbroken)
            assert (job.attempt, job.failures) == (1, 0)
            assert client.get(location).json()["status"] == "succeeded"
        worker.send(signal.SIGTERM)
        assert worker.wait(seconds=20) == 0, fleet.logs()
