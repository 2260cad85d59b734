"""The outbox: deliveries that wait, are tried, and are done with.

A claim is committed before the request leaves and moves `next_try_at` to when the try is taken for
lost.  Whoever dies amid a request therefore loses nothing: the delivery is due again, and is sent
again under the same id.  So each arrives at least once.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, or_, select, true, update
from sqlalchemy import delete as delete_rows
from sqlalchemy.orm import Session

from store.errors import Conflict, NotFound
from store.ids import encode, new_id
from store.tables import Delivery, Webhook
from store.webhooks import webhooks
from store.webhooks.events import TEST, payload_of_test
from store.webhooks.sender import Answer, Message

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
BEFORE_ALL = timedelta(days=30)
"""So much earlier than anything that waits a test is due."""
GONE = 410
"""The answer that means: never again."""


@dataclass(frozen=True)
class Patience:
    """How long a receiver is waited for, in seconds."""

    retries: tuple[float, ...] = (
        5,
        5 * _MINUTE,
        30 * _MINUTE,
        2 * _HOUR,
        5 * _HOUR,
        10 * _HOUR,
        14 * _HOUR,
        20 * _HOUR,
        24 * _HOUR,
    )
    """After each failed try; one more failure, and the delivery is given up."""
    failing: float = 5 * _DAY
    """From the first failure since the last success: then the webhook is disabled."""


PATIENCE = Patience()


@dataclass(frozen=True)
class Claim:
    """A delivery that is this process's to try, once."""

    delivery_id: UUID
    webhook_id: UUID
    tried_at: datetime
    """The fence: no other try of it began at this moment."""
    message: Message


def claim_due(
    session: Session, *, limit: int, without: Collection[UUID], lost_after_seconds: float
) -> list[Claim]:
    """Take due deliveries, one a webhook at most, those first that have waited longest.

    Args:
        without: webhooks that this process is sending to already: a receiver that is slow or dead
            never holds more than one of its threads.
        lost_after_seconds: until then a try's result is waited for.
    """
    due = _longest_due(without).order_by("next_try_at").limit(limit).subquery()
    # What another process has claimed since is locked, or is not due any more.
    taken = (
        select(Delivery)
        .where(Delivery.id.in_(select(due.c.id)), Delivery.next_try_at <= func.now())
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return [_claim(session, delivery, lost_after_seconds) for delivery in session.scalars(taken)]


def settle(session: Session, claim: Claim, answer: Answer, patience: Patience) -> bool:
    """Write down how a try went; False: it was taken for lost, or is of no interest any more.

    A failure is tried again later, or given up.  A receiver that answers 410, or has only failed
    for too long, is told nothing more.  A test is tried once, and changes nothing of its webhook.
    """
    # The webhook first, as everywhere.
    webhook = _locked(session, claim.webhook_id)
    delivery = None if webhook is None else _tried(session, claim)
    if webhook is None or delivery is None:
        return False
    if delivery.event == TEST:
        delivered_at = func.now() if answer.error is None else None
        _write(session, delivery, answer, delivered_at=delivered_at, next_try_at=None)
        return True
    if answer.error is None:
        _write(session, delivery, answer, delivered_at=func.now(), next_try_at=None)
        _note(session, webhook, failing_since=None)
        return True
    # Null already: the webhook was disabled meanwhile.
    wait_seconds = None if delivery.next_try_at is None else _wait(delivery.tries, patience)
    next_try_at = None if wait_seconds is None else func.now() + timedelta(seconds=wait_seconds)
    _write(session, delivery, answer, next_try_at=next_try_at)
    _note(session, webhook, failing_since=func.coalesce(Webhook.failing_since, func.now()))
    reason = _reason_to_disable(session, webhook, answer, patience)
    if reason is not None:
        webhooks.disable(session, webhook.id, reason)
    return True


def test(session: Session, project_id: UUID, webhook_id: UUID) -> Delivery:
    """Write a test for a webhook, enabled or not, to be sent before all that waits for it; one
    that has not been sent yet is found instead.

    Raises:
        NotFound: there is no such webhook of this project.
    """
    webhook = webhooks.locked(session, project_id, webhook_id)
    waiting = select(Delivery).where(
        Delivery.webhook_id == webhook.id, Delivery.event == TEST, Delivery.next_try_at.is_not(None)
    )
    if (standing := session.scalar(waiting.limit(1))) is not None:
        return standing
    now = session.scalars(select(func.now())).one()
    delivery = Delivery(
        id=new_id(),
        webhook_id=webhook.id,
        event=TEST,
        payload=payload_of_test(webhook.id, now),
        next_try_at=now - BEFORE_ALL,
    )
    session.add(delivery)
    session.flush()
    session.refresh(delivery)
    return delivery


def get(session: Session, project_id: UUID, webhook_id: UUID, delivery_id: UUID) -> Delivery:
    """One delivery of a project's webhook.

    Raises:
        NotFound: there is none.
    """
    webhook = webhooks.get(session, project_id, webhook_id)
    own = Delivery.id == delivery_id, Delivery.webhook_id == webhook.id
    return _found(session.scalar(select(Delivery).where(*own)), delivery_id)


def redeliver(session: Session, project_id: UUID, webhook_id: UUID, delivery_id: UUID) -> Delivery:
    """Let a delivery be tried now, whatever became of it, with all its retries before it.

    Raises:
        NotFound: there is no such delivery of this project.
        Conflict: the webhook is disabled.
    """
    webhook = webhooks.locked(session, project_id, webhook_id)
    if webhook.disabled_at is not None:
        raise Conflict(
            f"webhook {encode('hook', webhook_id)} is disabled: enable it, then deliver again"
        )
    again = (
        update(Delivery)
        .where(Delivery.id == delivery_id, Delivery.webhook_id == webhook_id)
        .values(tries=0, next_try_at=func.now(), delivered_at=None)
        .returning(Delivery)
        .execution_options(populate_existing=True)
    )
    return _found(session.scalar(again), delivery_id)


def list_deliveries(
    session: Session, webhook_id: UUID, *, after: UUID | None = None, limit: int
) -> list[Delivery]:
    """A webhook's deliveries, the newest first; `after`: only those older than this one."""
    query = select(Delivery).where(Delivery.webhook_id == webhook_id)
    if after is not None:
        query = query.where(Delivery.id < after)
    return list(session.scalars(query.order_by(Delivery.id.desc()).limit(limit)))


def forget_old(session: Session, *, days: float) -> int:
    """Remove deliveries that are done with and so old: how many."""
    old = Delivery.created_at < func.now() - timedelta(days=days)
    removed = delete_rows(Delivery).where(old, Delivery.next_try_at.is_(None))
    ids = session.scalars(
        removed.returning(Delivery.id).execution_options(synchronize_session=False)
    )
    return len(ids.all())


def _found(delivery: Delivery | None, delivery_id: UUID) -> Delivery:
    if delivery is None:
        raise NotFound("delivery", encode("msg", delivery_id))
    return delivery


def _longest_due(without: Collection[UUID]) -> Select[Any, Any]:
    """Of each webhook the delivery that is due the longest; of a disabled one, a test."""
    first = (
        select(Delivery.id, Delivery.next_try_at)
        .where(Delivery.webhook_id == Webhook.id, Delivery.next_try_at <= func.now())
        .where(or_(Webhook.disabled_at.is_(None), Delivery.event == TEST))
        .order_by(Delivery.next_try_at)
        .limit(1)
        .lateral()
    )
    return (
        select(first.c.id, first.c.next_try_at)
        .select_from(Webhook)
        .join(first, true())
        .where(Webhook.id.not_in(without))
    )


def _claim(session: Session, delivery: Delivery, lost_after_seconds: float) -> Claim:
    _update(
        session,
        delivery.id,
        tries=Delivery.tries + 1,
        tried_at=func.now(),
        next_try_at=func.now() + timedelta(seconds=lost_after_seconds),
    )
    secrets, now = webhooks.signature(session, delivery.webhook_id)
    url = session.get_one(Webhook, delivery.webhook_id).url
    message = Message(encode("msg", delivery.id), now, url, secrets, delivery.payload)
    return Claim(delivery.id, delivery.webhook_id, now, message)


def _locked(session: Session, webhook_id: UUID) -> Webhook | None:
    query = select(Webhook).where(Webhook.id == webhook_id).with_for_update(key_share=True)
    return session.scalar(query.execution_options(populate_existing=True))


def _tried(session: Session, claim: Claim) -> Delivery | None:
    """The delivery, locked, if this try is still its last."""
    query = select(Delivery).where(
        Delivery.id == claim.delivery_id, Delivery.tried_at == claim.tried_at
    )
    return session.scalar(query.with_for_update().execution_options(populate_existing=True))


def _wait(tries: int, patience: Patience) -> float | None:
    """Seconds to the next try; None: there is none."""
    return patience.retries[tries - 1] if 0 < tries <= len(patience.retries) else None


def _reason_to_disable(
    session: Session, webhook: Webhook, answer: Answer, patience: Patience
) -> str | None:
    if webhook.disabled_at is not None:
        return None
    if answer.status_code == GONE:
        return "its receiver answered 410: it wants nothing more"
    long = Webhook.failing_since < func.now() - timedelta(seconds=patience.failing)
    if session.scalar(select(long).where(Webhook.id == webhook.id)):
        return f"it has only failed for {patience.failing / _DAY:g} days, last: {answer.error}"
    return None


def _write(session: Session, delivery: Delivery, answer: Answer, **columns: Any) -> None:  # noqa: ANN401 - columns
    _update(session, delivery.id, status_code=answer.status_code, error=answer.error, **columns)


def _update(session: Session, delivery_id: UUID, **columns: Any) -> None:  # noqa: ANN401 - columns
    changed = update(Delivery).where(Delivery.id == delivery_id).values(**columns)
    session.execute(changed.execution_options(synchronize_session=False))


def _note(session: Session, webhook: Webhook, **columns: Any) -> None:  # noqa: ANN401 - columns
    changed = update(Webhook).where(Webhook.id == webhook.id).values(**columns)
    session.execute(changed.execution_options(synchronize_session=False))
