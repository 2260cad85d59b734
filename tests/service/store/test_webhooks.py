"""Webhooks and the outbox: events of transitions, and scheduling of deliveries."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from store.database.database import Database
from store.errors import NotFound
from store.ids import encode
from store.jobs import transitions
from store.jobs.outcomes import Completed, Failed, Stopped
from store.tables import Delivery, Event, Webhook
from store.webhooks import events, webhooks
from store.webhooks.sender import Answer
from tests.service.store.desk import Desk, make_desk
from tests.service.store.office import OK, REFUSED, Office
from tests.waiting import wait_until

ERROR = {"code": "bad_data", "message": "m" * 5000, "hint": "h", "traceback": "t"}


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
