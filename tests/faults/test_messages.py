"""Wake-ups lost, doubled, replayed, late or malformed: nothing changes, each job runs once."""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import redis

from store.ids import encode
from store.wake_up import QUEUE
from tests.faults.conftest import Fleet
from tests.faults.outcome import assert_right_end
from worker.celery_app import make_app
from worker.wake_up import send_wake_up

SCRIPTED = Path(__file__).parents[1] / "service" / "worker" / "scripted_worker.py"
GATED = {"labels": {"script": "step gate complete"}}
QUICK = {"labels": {"script": "step complete"}}
HOUR = 3600
COPIES = 50

Message = dict[str, Any]
Disturb = Callable[[redis.Redis, Message], None]


@pytest.fixture
def fleet(fleet: Fleet) -> Fleet:
    """With polls and sweeps an hour apart, an idle worker hears of a job by a message only."""
    rare = {"poll_seconds": HOUR, "sweep_seconds": HOUR, "lease_seconds": 60}
    fleet.settings = fleet.settings.model_copy(update=rare)
    return fleet


@pytest.fixture
def queue(fleet: Fleet) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(fleet.settings.redis_url) as client:
        yield client


def wake_up(fleet: Fleet, queue: redis.Redis) -> Message:
    """A message as it lies in Redis, taken out again.  To be called before there is a worker."""
    assert send_wake_up(make_app(fleet.settings.redis_url, work=do_nothing))
    raw = queue.rpop(QUEUE)
    assert isinstance(raw, bytes)
    return json.loads(raw)


def do_nothing() -> None:
    """The app here only sends."""


def put(queue: redis.Redis, *messages: Message | str) -> None:
    """The first one is taken first."""
    for message in messages:
        queue.lpush(QUEUE, message if isinstance(message, str) else json.dumps(message))


def with_headers(message: Message, **headers: Any) -> Message:
    return {**message, "headers": {**message["headers"], **headers}}


def with_body(message: Message, body: bytes) -> Message:
    return {**message, "body": base64.b64encode(body).decode()}


def lose(queue: redis.Redis, message: Message) -> None:
    put(queue, *[message] * 3)
    queue.flushall()


def double(queue: redis.Redis, message: Message) -> None:
    put(queue, *[message] * COPIES)


def delay(queue: redis.Redis, message: Message) -> None:
    """It was sent more than an hour ago, and is out of date."""
    sent_at = datetime.now(UTC) - timedelta(seconds=HOUR + 1)
    expires = (sent_at + timedelta(seconds=HOUR)).isoformat()
    put(queue, with_headers(message, expires=expires))


def send_unknown_task(queue: redis.Redis, message: Message) -> None:
    put(queue, with_headers(message, task="duet.unknown"))


def send_arguments(queue: redis.Redis, message: Message) -> None:
    """Another release's, say: the task takes none."""
    put(queue, with_body(message, b'[["job"], {"fast": true}, {}]'))


def send_no_task(queue: redis.Redis, message: Message) -> None:
    put(queue, {**message, "headers": {}}, with_body({**message, "headers": {}}, b"{}"))


def send_pickle(queue: redis.Redis, message: Message) -> None:
    put(queue, {**message, "content-type": "application/x-python-serialize"})


def send_broken_body(queue: redis.Redis, message: Message) -> None:
    put(queue, with_body(message, b"[[], {"), {**message, "body": "x"})


def send_no_message(queue: redis.Redis, message: Message) -> None:
    put(queue, "not even JSON", "[]", "{}", {**message, "properties": {}})


DISTURBANCES = [
    lose,
    # Nearly a second each: the worker looks at Redis again when its slot has been given back.
    pytest.param(double, marks=pytest.mark.nightly),
    delay,
    send_unknown_task,
    send_arguments,
    send_no_task,
    send_pickle,
    send_broken_body,
    send_no_message,
]


@pytest.mark.parametrize("disturb", DISTURBANCES)
def test_whatever_comes_each_job_runs_once_and_the_worker_hears_the_next_wake_up(
    fleet: Fleet, queue: redis.Redis, disturb: Disturb
):
    message = wake_up(fleet, queue)
    worker = fleet.start_worker(script=SCRIPTED)
    gated, waiting = fleet.submit(GATED), fleet.submit(QUICK)
    run = begun(fleet, gated)
    disturb(queue, message)
    (run / "open").touch()
    for job_id in (gated, waiting):
        assert assert_right_end(fleet, job_id, None).attempt == 1
    fleet.wait_until(lambda: not queue.exists(QUEUE))

    later = fleet.submit(QUICK)
    assert send_wake_up(make_app(fleet.settings.redis_url, work=do_nothing))
    assert assert_right_end(fleet, later, None).attempt == 1
    assert worker.process.poll() is None, fleet.logs()


def test_an_old_wake_up_that_comes_again_changes_nothing(fleet: Fleet, queue: redis.Redis):
    message = wake_up(fleet, queue)
    fleet.start_worker(script=SCRIPTED)
    first = fleet.submit(QUICK)
    put(queue, message)
    ended = assert_right_end(fleet, first, None)
    put(queue, *[message] * 3)
    second = fleet.submit(QUICK)
    assert assert_right_end(fleet, second, None).attempt == 1
    fleet.wait_until(lambda: not queue.exists(QUEUE))
    after = fleet.job(first)
    assert (after.status, after.attempt, after.last_seq) == ("succeeded", 1, ended.last_seq)
    assert len(fleet.attempts(first)) == 1


def begun(fleet: Fleet, job_id: UUID) -> Path:
    """The folder of its first attempt, once its trainer runs."""
    folder = fleet.settings.runs_dir / encode("job", job_id) / "attempt-0001"
    fleet.wait_until((folder / "records.jsonl").exists)
    return folder
