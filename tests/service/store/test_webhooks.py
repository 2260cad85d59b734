"""Webhooks and the outbox: events of transitions, and scheduling of deliveries."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, text, update

from store.database.database import Database
from store.errors import Conflict, NotFound
from store.ids import encode, new_id
from store.jobs import transitions
from store.jobs.outcomes import Completed, Failed, Stopped
from store.tables import Delivery, Event, Webhook
from store.webhooks import deliveries, events, webhooks
from store.webhooks.deliveries import PATIENCE, Claim, Patience
from store.webhooks.events import EVENT_TYPES, EventType
from store.webhooks.sender import Answer
from tests.service.store.desk import Desk, make_desk
from tests.waiting import wait_until

LOST_AFTER_SECONDS = 30
OK = Answer(200, None, 0.1)
REFUSED = Answer(500, "it answered 500", 0.1)
ERROR = {"code": "bad_data", "message": "m" * 5000, "hint": "h", "traceback": "t"}


class Office:
    """A project's webhooks, and a process that delivers: each call is one transaction."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.database = desk.database

    def hook(self, events: Sequence[EventType] = EVENT_TYPES) -> UUID:
        with self.database.session() as session:
            return webhooks.create(
                session,
                project_id=self.desk.project_id,
                key_id=self.desk.key_id,
                url="https://example.com/hook",
                description="",
                events=events,
            ).id

    def of(self, webhook_id: UUID) -> Webhook:
        with self.database.session() as session:
            return webhooks.get(session, self.desk.project_id, webhook_id)

    def change(self, webhook_id: UUID, **wanted: bool) -> Webhook:
        with self.database.session() as session:
            change = webhooks.Change(**wanted)  # pyright: ignore[reportArgumentType]
            return webhooks.change(session, self.desk.project_id, webhook_id, change, by="a test")

    def written(self, webhook_id: UUID) -> list[Delivery]:
        """The oldest first."""
        self.spread()
        with self.database.session() as session:
            return deliveries.list_deliveries(session, webhook_id, limit=1000)[::-1]

    def spread(self) -> int:
        with self.database.session() as session:
            return events.spread(session, limit=100)

    def test(self, webhook_id: UUID) -> Delivery:
        with self.database.session() as session:
            return deliveries.test(session, self.desk.project_id, webhook_id)

    def events(self, webhook_id: UUID) -> list[str]:
        return [delivery.event for delivery in self.written(webhook_id)]

    def claim(self, *, limit: int = 10, without: Sequence[UUID] = ()) -> list[Claim]:
        with self.database.session() as session:
            return deliveries.claim_due(
                session, limit=limit, without=without, lost_after_seconds=LOST_AFTER_SECONDS
            )

    def settle(self, claim: Claim, answer: Answer, patience: Patience = PATIENCE) -> bool:
        with self.database.session() as session:
            return deliveries.settle(session, claim, answer, patience)

    def redeliver(self, webhook_id: UUID, delivery_id: UUID) -> Delivery:
        with self.database.session() as session:
            return deliveries.redeliver(session, self.desk.project_id, webhook_id, delivery_id)

    def make_due(self) -> None:
        """Make all pending deliveries due."""
        with self.database.session() as session:
            session.execute(
                update(Delivery)
                .where(Delivery.next_try_at.is_not(None))
                .values(next_try_at=func.now())
            )

    def num_waiting_for_locks(self) -> int:
        with self.database.session() as session:
            waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
            return session.execute(text(waiting)).scalar_one()

    def wait_seconds(self, delivery_id: UUID) -> float | None:
        """Return the time from the last try to the next."""
        with self.database.session() as session:
            row = session.get_one(Delivery, delivery_id)
            if row.next_try_at is None or row.tried_at is None:
                return None
            return round((row.next_try_at - row.tried_at).total_seconds())


@pytest.fixture
def office(desk: Desk) -> Office:
    return Office(desk)


def test_each_change_of_a_jobs_status_and_each_checkpoint_is_an_event(office: Office, desk: Desk):
    hook = office.hook()
    claim = desk.running()
    desk.save(claim, step=1, n=1, final=True)
    desk.finish(claim, Stopped())
    again = desk.claim_of(claim.job_id)
    desk.finish(again, Completed())
    assert office.events(hook) == [
        "job.created",
        "job.running",
        "checkpoint.created",
        "job.queued",
        "job.running",
        "job.succeeded",
    ]


def test_pause_resume_and_cancel_are_events_and_a_mere_wish_is_none(office: Office, desk: Desk):
    hook = office.hook()
    waiting = desk.submit()
    desk.pause(waiting)
    desk.resume(waiting)
    claim = desk.claim_of(waiting)
    desk.pause(waiting)  # wishes: it runs on until its worker has heard of it
    desk.resume(waiting)
    desk.cancel(waiting)
    moved = ["job.created", "job.paused", "job.queued", "job.running"]
    assert office.events(hook) == moved
    desk.finish(claim, Stopped())
    assert office.events(hook) == [*moved, "job.cancelled"]


def test_an_event_is_a_summary_without_the_log(office: Office, desk: Desk):
    hook = office.hook(["job.failed", "checkpoint.created"])
    claim = desk.running(name="mine", labels={"team": "a"})
    checkpoint = desk.save(claim, step=3, n=1)
    desk.finish(claim, Failed(ERROR, retryable=False), log_tail="password=hunter2")
    saved, failed = [delivery.payload for delivery in office.written(hook)]

    assert saved["type"] == "checkpoint.created"
    assert saved["data"]["checkpoint"]["id"] == encode("ckpt", checkpoint.id)
    assert saved["data"]["status"] == "running"
    record = desk.records(claim.job_id, "status")[-1]
    assert failed["type"] == "job.failed"
    assert failed["timestamp"] == record.at.isoformat()
    data = failed["data"]
    assert data["id"] == encode("job", claim.job_id)
    assert (data["name"], data["status"], data["labels"]) == ("mine", "failed", {"team": "a"})
    assert data["error"]["code"] == "bad_data"
    assert data["error"]["message"] == data["reason"] == "m" * 999 + "…"
    assert "hunter2" not in str(failed)


def test_only_enabled_subscribed_webhooks_of_the_project_receive_an_event(
    office: Office, desk: Desk, database: Database
):
    other = Office(make_desk(database, "other"))
    hooks = [office.hook(["job.created"]), office.hook(["job.failed"]), other.hook()]
    off = office.hook(["job.created"])
    assert office.change(off, enabled=False).disabled_reason == "disabled by a test"
    desk.submit()
    assert [office.events(hook) for hook in [*hooks, off]] == [["job.created"], [], [], []]


def test_an_event_is_written_in_the_transaction_of_its_transition(office: Office, desk: Desk):
    hook = office.hook()
    waiting = desk.submit()

    def pause_and_fail() -> None:
        with desk.database.session() as session:
            transitions.pause(session, desk.project_id, waiting, reason="a test")
            raise InterruptedError

    with pytest.raises(InterruptedError):
        pause_and_fail()
    assert office.events(hook) == ["job.created"]


def test_a_claim_is_one_delivery_per_webhook_of_its_project(office: Office, desk: Desk):
    first, second = office.hook(["job.created"]), office.hook(["job.created"])
    for _ in range(2):
        desk.submit()
    claims = office.claim()
    assert {claim.webhook_id for claim in claims} == {first, second}
    assert {claim.delivery_id for claim in claims} == {
        office.written(hook)[0].id for hook in (first, second)
    }
    assert [claim.webhook_id for claim in office.claim(without=[first])] == [second]
    assert len(office.claim()) == 1  # the second of the first
    assert office.claim() == []


def test_processes_that_claim_at_once_never_hold_the_same(office: Office, desk: Desk):
    hooks = [office.hook(["job.created"]) for _ in range(8)]
    for _ in range(5):
        desk.submit()

    def claim_all(_: int) -> list[UUID]:
        claimed: list[UUID] = []
        while any(row.tries == 0 for hook in hooks for row in office.written(hook)):
            claimed += [claim.delivery_id for claim in office.claim(limit=3)]
        return claimed

    with ThreadPoolExecutor(4) as threads:
        claimed = [id for ids in threads.map(claim_all, range(4)) for id in ids]
    assert sorted(claimed) == sorted(row.id for hook in hooks for row in office.written(hook))


def test_the_oldest_due_deliveries_come_first(office: Office, desk: Desk):
    hooks = [office.hook([event]) for event in ("job.cancelled", "job.created")]
    desk.cancel(desk.submit())
    assert [claim.webhook_id for claim in office.claim(limit=1)] == [hooks[1]]


def test_an_unfinished_try_is_repeated_with_the_same_id(office: Office, desk: Desk):
    office.hook(["job.created"])
    desk.submit()
    [lost] = office.claim()
    assert office.claim() == []
    assert office.wait_seconds(lost.delivery_id) == LOST_AFTER_SECONDS
    office.make_due()
    [again] = office.claim()
    assert again.message.id == lost.message.id
    assert not office.settle(lost, REFUSED), "the lost try's result came too late to count"
    assert office.settle(again, OK)
    assert office.claim() == []


def test_failures_are_tried_again_after_longer_and_longer_and_then_given_up(
    office: Office, desk: Desk
):
    hook = office.hook(["job.created"])
    desk.submit()
    waits = []
    for _ in range(10):
        office.make_due()
        [claim] = office.claim()
        assert office.settle(claim, REFUSED)
        waits.append(office.wait_seconds(claim.delivery_id))
    hours = [2, 5, 10, 14, 20, 24]
    assert waits == [5, 300, 1800, *[hour * 3600 for hour in hours], None]
    [given_up] = office.written(hook)
    assert (given_up.tries, given_up.status_code, given_up.error) == (10, 500, "it answered 500")
    office.make_due()
    assert office.claim() == []


def test_a_finished_delivery_is_sent_again_on_request(office: Office, desk: Desk):
    hook = office.hook(["job.created"])
    desk.submit()
    [claim] = office.claim()
    office.settle(claim, OK)
    again = office.redeliver(hook, claim.delivery_id)
    assert (again.delivered_at, again.tries) == (None, 0)
    [second] = office.claim()
    assert second.message.id == claim.message.id
    office.settle(second, OK)
    with pytest.raises(NotFound):
        office.redeliver(hook, new_id())
    office.change(hook, enabled=False)
    with pytest.raises(Conflict, match="enable it"):
        office.redeliver(hook, claim.delivery_id)


def test_gone_disables_and_what_waits_is_given_up(office: Office, desk: Desk):
    hook = office.hook(["job.created"])
    for _ in range(2):
        desk.submit()
    [claim] = office.claim()
    office.settle(claim, Answer(410, "it answered 410", 0.1))
    disabled = office.of(hook)
    assert disabled.disabled_reason == "the receiver responded 410 (Gone)"
    assert office.claim() == []
    assert [row.next_try_at for row in office.written(hook)] == [None, None]
    assert office.written(hook)[1].error == "the webhook was disabled"
    enabled = office.change(hook, enabled=True)
    assert (enabled.disabled_at, enabled.failing_since) == (None, None)
    desk.submit()
    assert len(office.claim()) == 1


def test_a_webhook_that_only_fails_for_days_is_disabled_and_one_success_resets_that(
    office: Office, desk: Desk
):
    hook = office.hook(["job.created"])
    four_days, six_days = timedelta(days=4), timedelta(days=6)

    def fail(after: timedelta) -> Webhook:
        """Record a failure, with the first of the series some time ago."""
        desk.submit()
        with office.database.session() as session:
            session.execute(
                update(Webhook)
                .where(Webhook.failing_since.is_not(None))
                .values(failing_since=func.now() - after)
            )
        [claim] = office.claim()
        office.settle(claim, REFUSED)
        return office.of(hook)

    assert fail(six_days).disabled_at is None  # the first failure
    assert fail(four_days).disabled_at is None
    desk.submit()
    [claim] = office.claim()
    office.settle(claim, OK)
    assert office.of(hook).failing_since is None
    assert fail(six_days).disabled_at is None  # the first failure again
    assert (
        fail(six_days).disabled_reason
        == "every delivery has failed for 5 days, last: it answered 500"
    )


def test_in_a_rotation_both_secrets_sign_and_after_a_day_the_new_one_does(
    office: Office, desk: Desk
):
    hook = office.hook(["job.created"])
    old = office.of(hook).secret
    with office.database.session() as session:
        new = webhooks.rotate_secret(session, desk.project_id, hook).secret
    assert new != old
    desk.submit()
    [claim] = office.claim()
    assert claim.message.secrets == [new, old]
    with office.database.session() as session:
        until = session.scalar(select(Webhook.old_secret_until - func.now()))
        assert until is not None
        assert timedelta(hours=23) < until <= timedelta(hours=24)
        session.execute(update(Webhook).values(old_secret_until=func.now()))
    office.make_due()
    [claim] = office.claim()
    assert claim.message.secrets == [new]


def test_a_concurrent_deletion_of_a_webhook_does_not_fail_a_transition(office: Office, desk: Desk):
    hook, stays = office.hook(), office.hook()
    with ThreadPoolExecutor() as threads:
        with office.database.session() as session:
            webhooks.delete(session, desk.project_id, hook)
            submitted = threads.submit(desk.submit)
            wait_until(lambda: office.num_waiting_for_locks() == 1)
        job_id = submitted.result(10)
    assert desk.job(job_id).status == "queued"
    assert office.events(stays) == ["job.created"]
    with office.database.session() as session, pytest.raises(NotFound):
        webhooks.delete(session, desk.project_id, hook)


def test_old_deliveries_that_are_done_with_are_forgotten(office: Office, desk: Desk):
    hook = office.hook(["job.created"])
    for _ in range(3):
        desk.submit()
    done, waiting, young = office.written(hook)
    with office.database.session() as session:
        old = {"created_at": func.now() - timedelta(days=31)}
        session.execute(update(Delivery).where(Delivery.id.in_([done.id, waiting.id])).values(old))
        over = {"next_try_at": None, "delivered_at": func.now()}
        session.execute(update(Delivery).where(Delivery.id.in_([done.id, young.id])).values(over))
        assert deliveries.forget_old(session, days=30) == 1
    assert [row.id for row in office.written(hook)] == [waiting.id, young.id]


def test_a_claim_writes_one_row_however_many_webhooks_listen(office: Office, desk: Desk):
    """Claims are serialized over all projects: they write no rows of tenants."""
    hooks = [office.hook(["job.running"]) for _ in range(50)]
    job_id = desk.submit()
    with office.database.session() as session:
        claim = desk.claim_in(session)
        assert claim is not None
        assert claim.job_id == job_id
        assert session.scalars(select(func.count()).select_from(Delivery)).one() == 0
        assert session.scalars(select(func.count()).select_from(Event)).one() == 1
    late = office.hook(["job.running"])
    assert office.spread() == 1
    assert office.spread() == 0
    assert [office.events(hook) for hook in hooks] == [["job.running"]] * 50
    assert office.events(late) == [], "it was not there"


def test_a_claim_without_subscribers_writes_nothing(office: Office, desk: Desk):
    off, other = office.hook(["job.running"]), office.hook(["job.created"])
    office.change(off, enabled=False)
    desk.running()
    assert office.spread() == 0
    assert (office.events(off), office.events(other)) == ([], ["job.created"])


def test_processes_that_spread_at_once_make_each_delivery_once(office: Office, desk: Desk):
    hook = office.hook(["job.running"])
    for _ in range(6):
        desk.running()

    def spread(_: int) -> int:
        with office.database.session() as session:
            return events.spread(session, limit=1)

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(spread, range(24))) == 6
    assert office.events(hook) == ["job.running"] * 6


def test_a_test_goes_before_what_waits_is_tried_once_and_changes_nothing(
    office: Office, desk: Desk
):
    hook = office.hook(["job.created"])
    desk.submit()
    test = office.test(hook)
    assert office.test(hook).id == test.id, "one that waits is enough"
    [claim] = office.claim()
    assert (claim.delivery_id, claim.message.payload["type"]) == (test.id, "webhook.test")
    assert office.settle(claim, Answer(410, "it answered 410", 0.1))
    now = office.of(hook)
    assert (now.disabled_at, now.failing_since) == (None, None)
    sent = next(row for row in office.written(hook) if row.id == test.id)
    assert (sent.next_try_at, sent.error) == (None, "it answered 410")
    assert office.test(hook).id != test.id
