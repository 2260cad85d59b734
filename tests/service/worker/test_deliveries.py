"""Events in the outbox are delivered, by one process, two, or one that dies."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from store.ids import encode
from store.settings import Settings
from store.tables import Delivery, Webhook
from store.webhooks import deliveries, webhooks
from store.webhooks.deliveries import Patience
from store.webhooks.events import EventType
from tests.service.delivering import delivering
from tests.service.receiver import Receiver, receiving
from tests.service.worker.conftest import Desk
from tests.waiting import deadline, wait_until

REPOSITORY = Path(__file__).parents[3]


class Office:
    """The project's webhooks, and its jobs: each submission is one event."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.database = desk.context.database

    def hook(self, receiver: Receiver, event: EventType = "job.created") -> UUID:
        with self.database.session() as session:
            return webhooks.create(
                session,
                project_id=self.desk.project.id,
                key_id=self.desk.key.id,
                url=receiver.url,
                description="",
                events=[event],
            ).id

    def of(self, webhook_id: UUID) -> Webhook:
        with self.database.session() as session:
            return webhooks.get(session, self.desk.project.id, webhook_id)

    def submit(self, times: int = 1) -> None:
        for _ in range(times):
            self.desk.submit("")

    def written(self, webhook_id: UUID) -> list[Delivery]:
        """The oldest first."""
        with self.database.session() as session:
            return deliveries.list_deliveries(session, webhook_id, limit=1000)[::-1]

    def all_delivered(self, webhook_id: UUID) -> bool:
        return all(row.delivered_at for row in self.written(webhook_id))

    def redeliver(self, webhook_id: UUID, delivery_id: UUID) -> None:
        with self.database.session() as session:
            deliveries.redeliver(session, self.desk.project.id, webhook_id, delivery_id)


@pytest.fixture
def office(desk: Desk) -> Office:
    return Office(desk)


Ops = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def ops(settings: Settings, tmp_path: Path) -> Iterator[Ops]:
    """Start `python -m worker ops` and wait until it delivers."""
    started: list[subprocess.Popen[bytes]] = []
    environment = {
        **os.environ,
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": "redis://127.0.0.1:9",  # nobody there: it needs none
        "ARTIFACTS_URL": settings.artifacts_url,
        "DUET_WEBHOOKS_ALLOW_PRIVATE": "true",
    }

    def start(*, timeout_seconds: int = 10) -> subprocess.Popen[bytes]:
        log = tmp_path / f"ops-{len(started)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "worker", "ops"],
                cwd=REPOSITORY,
                env={**environment, "DUET_WEBHOOKS_TIMEOUT_SECONDS": str(timeout_seconds)},
                stderr=out,
            )
        started.append(process)
        wait_until(lambda: b"ops_started" in log.read_bytes())
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_an_event_arrives_signed_by_the_webhooks_own_secret(office: Office):
    with receiving() as receiver, delivering(office.database):
        hook = office.hook(receiver)
        office.submit()
        wait_until(lambda: office.all_delivered(hook) and receiver.arrived)
    [received] = receiver.arrived
    [row] = office.written(hook)
    assert received.verified(office.of(hook).secret) == row.payload
    assert received.id == encode("msg", row.id)
    assert (row.tries, row.status_code, row.error) == (1, 200, None)


def test_a_failed_delivery_is_retried_with_the_same_id(office: Office):
    with (
        receiving(lambda number: 503 if number < 3 else 204) as receiver,
        delivering(office.database, Patience(retries=(0, 0, 3600))),
    ):
        hook = office.hook(receiver)
        office.submit()
        wait_until(lambda: office.written(hook)[0].delivered_at)
    assert len(receiver.ids) == 3
    assert len(set(receiver.ids)) == 1
    [row] = office.written(hook)
    assert (row.tries, row.status_code) == (3, 204)
    assert office.of(hook).failing_since is None


def test_a_delivery_that_fails_too_often_is_given_up_and_sent_again_on_request(office: Office):
    with (
        receiving(lambda number: 500 if number < 3 else 200) as receiver,
        delivering(office.database, Patience(retries=(0,))),
    ):
        hook = office.hook(receiver)
        office.submit()
        wait_until(lambda: office.written(hook)[0].next_try_at is None)
        [row] = office.written(hook)
        assert (row.tries, row.delivered_at, row.error) == (2, None, "it answered 500")
        office.redeliver(hook, row.id)
        wait_until(lambda: office.all_delivered(hook))
    assert receiver.ids == [encode("msg", row.id)] * 3


def test_gone_ends_it_for_good(office: Office):
    with receiving(lambda _: 410) as receiver, delivering(office.database):
        hook = office.hook(receiver)
        office.submit()
        wait_until(lambda: office.of(hook).disabled_at)
        office.submit()
    assert len(receiver.arrived) == len(office.written(hook)) == 1


def test_a_hanging_receiver_delays_no_other(office: Office):
    released = threading.Event()

    def hang(_: int) -> int:
        released.wait(deadline(30))
        return 200

    # With the two threads there are, one for each request, the second would hold both of them.
    with (
        receiving(hang) as slow,
        receiving() as quick,
        delivering(office.database, num_threads=2),
    ):
        office.hook(slow)
        hook = office.hook(quick)
        office.submit(5)
        wait_until(lambda: office.all_delivered(hook))
        assert len(slow.arrived) == 1
        released.set()
        wait_until(lambda: len(slow.arrived) == 5)
    assert len(quick.arrived) == 5


def test_a_delivery_of_a_killed_process_is_repeated_by_the_next(office: Office, ops: Ops):
    released = threading.Event()

    def hang_once(number: int) -> int:
        if number == 1:
            released.wait(deadline(30))
        return 200

    with receiving(hang_once) as receiver:
        hook = office.hook(receiver)
        first = ops(timeout_seconds=1)
        office.submit()
        wait_until(lambda: receiver.arrived)
        first.kill()
        first.wait()
        ops()
        wait_until(lambda: office.all_delivered(hook))
        released.set()
    assert receiver.ids == [receiver.ids[0]] * 2
    assert office.written(hook)[0].tries == 2


def test_two_processes_deliver_each_once(office: Office, ops: Ops):
    with receiving() as receiver:
        hooks = [office.hook(receiver) for _ in range(6)]
        office.submit(5)  # all wait when the two begin
        ops()
        ops()
        wait_until(lambda: all(office.all_delivered(hook) for hook in hooks))
    expected = {encode("msg", row.id) for hook in hooks for row in office.written(hook)}
    assert sorted(receiver.ids) == sorted(expected)
    assert len(expected) == 30


def test_a_stopped_process_finishes_the_delivery_in_progress(office: Office, ops: Ops):
    released = threading.Event()

    def hang(_: int) -> int:
        released.wait(deadline(30))
        return 200

    with receiving(hang) as receiver:
        hook = office.hook(receiver)
        process = ops()
        office.submit()
        wait_until(lambda: receiver.arrived)
        process.send_signal(signal.SIGTERM)
        released.set()
        assert process.wait(deadline(20)) == 0
    assert office.all_delivered(hook)
    assert len(receiver.arrived) == 1
