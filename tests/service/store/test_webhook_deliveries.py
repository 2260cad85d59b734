"""Deliveries: claims, retries, signatures' rotation, and old ones' end."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from store.errors import Conflict, NotFound
from store.ids import new_id
from store.tables import Delivery, Webhook
from store.webhooks import deliveries, webhooks
from store.webhooks.sender import Answer
from tests.service.store.desk import Desk
from tests.service.store.office import LOST_AFTER_SECONDS, OK, REFUSED, Office


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
