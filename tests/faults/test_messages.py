"""Lost, duplicated, replayed, late or malformed wake-ups: each job still runs once."""

import base64
import json
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import redis
from celery import Celery

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
    """With polls and the reaper an hour apart, only a message brings an idle worker a job."""
    rare = {"poll_seconds": HOUR, "reaper_seconds": HOUR, "lease_seconds": 60}
    fleet.settings = fleet.settings.model_copy(update=rare)
    return fleet


@pytest.fixture
def queue(fleet: Fleet) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(fleet.settings.redis_url) as client:
        yield client


def wake_up(fleet: Fleet, queue: redis.Redis) -> Message:
    """Return a message as stored in Redis, and remove it; call before starting a worker."""
    assert send_wake_up(make_app(fleet.settings.redis_url, work=do_nothing))
    raw = queue.rpop(QUEUE)
    assert isinstance(raw, bytes)
    return json.loads(raw)


def do_nothing() -> None:
    """Never called: this app only sends."""


def put(queue: redis.Redis, *messages: Message | str) -> None:
    """Put messages; the first one is read first."""
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
    """Put a message that was sent more than an hour ago, and is out of date."""
    sent_at = datetime.now(UTC) - timedelta(seconds=HOUR + 1)
    expires = (sent_at + timedelta(seconds=HOUR)).isoformat()
    put(queue, with_headers(message, expires=expires))


def send_unknown_task(queue: redis.Redis, message: Message) -> None:
    put(queue, with_headers(message, task="duet.unknown"))


def send_arguments(queue: redis.Redis, message: Message) -> None:
    """Message with arguments, as from another release; the task takes none."""
    put(queue, with_body(message, b'[["job"], {"fast": true}, {}]'))


def send_no_task(queue: redis.Redis, message: Message) -> None:
    put(queue, {**message, "headers": {}}, with_body({**message, "headers": {}}, b"{}"))


def send_pickle(queue: redis.Redis, message: Message) -> None:
    put(queue, {**message, "content-type": "application/x-python-serialize"})


def send_broken_body(queue: redis.Redis, message: Message) -> None:
    put(queue, with_body(message, b"[[], {"), {**message, "body": "x"})


def send_no_message(queue: redis.Redis, message: Message) -> None:
    put(queue, "not even JSON", "[]", "{}", {**message, "properties": {}})


def send_deep_and_endless(queue: redis.Redis, message: Message) -> None:
    put(queue, "[" * 100_000, "9" * 100_000, with_body(message, b"[" * 100_000))


def send_celerys_own_tasks(queue: redis.Redis, message: Message) -> None:
    own = ("celery.map", "celery.starmap", "celery.chain", "celery.chunks", "celery.accumulate")
    body = json.dumps([[{"task": "duet.wake"}, [[]] * COPIES], {}, {}]).encode()
    put(queue, *(with_body(with_headers(message, task=name), body) for name in own))


def send_what_multiplies(queue: redis.Redis, message: Message) -> None:
    """Messages that link to further tasks."""
    again = {"task": "duet.wake", "args": [], "kwargs": {}, "options": {}, "subtask_type": None}
    embed = {"callbacks": [again] * 9, "errbacks": [again], "chain": [again] * 9, "chord": again}
    body = json.dumps([[], {}, embed]).encode()
    put(queue, with_body(with_headers(message, group="g", retries=-9, ignore_result=False), body))


def send_what_waits(queue: redis.Redis, message: Message) -> None:
    """Messages with start times or expiry."""
    later = with_headers(message, eta="2999-01-01T00:00:00+00:00", timelimit=[0.001, 0.001])
    put(queue, *[later] * 3, with_headers(message, eta="never"), with_headers(message, expires=[]))


def send_compressed(queue: redis.Redis, message: Message) -> None:
    """A compressed message: 200 MB of spaces in 200 kB."""
    bomb = zlib.compress(b" " * 200_000_000)
    kinds = ("zlib", "gzip", "bzip2", "lzma", "application/x-gzip", "none such")
    put(queue, *(with_headers(with_body(message, bomb), compression=kind) for kind in kinds))


def broadcast(queue: redis.Redis, message: Message) -> None:
    """Celery's remote-control message, as any client of Redis can send it."""
    address = queue.connection_pool.connection_kwargs
    url = f"redis://:{address['password']}@{address['host']}:{address['port']}/0"
    put(queue, message)
    control = Celery(broker=url, set_as_current=False).control
    for command in ("shutdown", "pool_restart", "enable_events"):
        control.broadcast(command)
    control.cancel_consumer(QUEUE)
    control.pool_shrink(1)
    control.rate_limit("duet.wake", "1/h")
    control.time_limit("duet.wake", hard=0.1)
    assert control.ping(timeout=0.1) == []


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
    send_deep_and_endless,
    send_celerys_own_tasks,
    send_what_multiplies,
    send_what_waits,
    send_compressed,
    broadcast,
]


@pytest.mark.parametrize("disturb", DISTURBANCES)
def test_after_any_message_each_job_runs_once_and_the_next_wake_up_works(
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


def test_a_key_of_another_type_in_the_queues_stead_ends_no_worker(fleet: Fleet, queue: redis.Redis):
    worker = fleet.start_worker(script=SCRIPTED)
    gated = fleet.submit(GATED)
    run = begun(fleet, gated)
    queue.set(QUEUE, "not a list")
    (run / "open").touch()
    assert assert_right_end(fleet, gated, None).attempt == 1
    queue.delete(QUEUE)
    later = fleet.submit(QUICK)
    assert send_wake_up(make_app(fleet.settings.redis_url, work=do_nothing))
    assert assert_right_end(fleet, later, None).attempt == 1
    assert worker.process.poll() is None, fleet.logs()


def test_a_repeated_old_wake_up_changes_nothing(fleet: Fleet, queue: redis.Redis):
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
    """Wait for the job's trainer and return the folder of its first attempt."""
    folder = fleet.settings.runs_dir / encode("job", job_id) / "attempt-0001"
    fleet.wait_until((folder / "records.jsonl").exists)
    return folder
