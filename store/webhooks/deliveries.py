"""The outbox: deliveries from creation to success or abandonment.

A claim is committed before the request is sent, and moves `next_try_at` to the time at which the
try counts as lost.  If the process dies during a request, the delivery becomes due again and is
sent under the same id.  So each is delivered at least once.
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
"""Time by which a test's due date precedes that of every pending delivery."""
GONE = 410
"""Status with which a receiver refuses all further deliveries."""


@dataclass(frozen=True)
class Patience:
    """Retry schedule of a webhook, in seconds."""

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
    """Wait after each failed try; after one more failure the delivery is given up."""
    failing: float = 5 * _DAY
    """Time from the first failure since the last success until the webhook is disabled."""


PATIENCE = Patience()


@dataclass(frozen=True)
class Claim:
    """A delivery claimed by this process for one try."""

    delivery_id: UUID
    webhook_id: UUID
    tried_at: datetime
    """Start of the try, and its fence: no other try of the delivery began at this moment."""
    message: Message


def claim_due(
    session: Session, *, limit: int, without: Collection[UUID], lost_after_seconds: float
) -> list[Claim]:
    """Claim due deliveries, at most one per webhook, longest due first.

    Args:
        without: webhooks to which this process is already sending, so that a slow or dead receiver
            never occupies more than one thread.
        lost_after_seconds: time after which a try without a result counts as lost.
    """
    due = _longest_due(without).order_by("next_try_at").limit(limit).subquery()
    # Deliveries claimed by another process since are locked, or no longer due.
    taken = (
        select(Delivery)
        .where(Delivery.id.in_(select(due.c.id)), Delivery.next_try_at <= func.now())
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return [_claim(session, delivery, lost_after_seconds) for delivery in session.scalars(taken)]


def settle(session: Session, claim: Claim, answer: Answer, patience: Patience) -> bool:
    """Store a try's result; False: the try counted as lost, or the webhook is deleted.

    A failure is retried later, or given up.  A webhook whose receiver responds 410, or has failed
    for too long, is disabled.  A test is tried once, and does not change its webhook.
    """
    # The webhook is locked first, as everywhere.
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
    # Already null: the webhook was disabled meanwhile.
    wait_seconds = None if delivery.next_try_at is None else _wait(delivery.tries, patience)
    next_try_at = None if wait_seconds is None else func.now() + timedelta(seconds=wait_seconds)
    _write(session, delivery, answer, next_try_at=next_try_at)
    _note(session, webhook, failing_since=func.coalesce(Webhook.failing_since, func.now()))
    reason = _reason_to_disable(session, webhook, answer, patience)
    if reason is not None:
        webhooks.disable(session, webhook.id, reason)
    return True


def test(session: Session, project_id: UUID, webhook_id: UUID) -> Delivery:
    """Create a test delivery for a webhook, enabled or not, sent before its other deliveries;
    return an unsent test instead if one exists.

    Raises:
        NotFound: the webhook does not exist in this project.
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
    """Return one delivery of a project's webhook.

    Raises:
        NotFound: the delivery does not exist.
    """
    webhook = webhooks.get(session, project_id, webhook_id)
    own = Delivery.id == delivery_id, Delivery.webhook_id == webhook.id
    return _found(session.scalar(select(Delivery).where(*own)), delivery_id)


def redeliver(session: Session, project_id: UUID, webhook_id: UUID, delivery_id: UUID) -> Delivery:
    """Restart a delivery in any state: due now, with all its retries.

    Raises:
        NotFound: the delivery does not exist in this project.
        Conflict: the webhook is disabled.
    """
    webhook = webhooks.locked(session, project_id, webhook_id)
    if webhook.disabled_at is not None:
        raise Conflict(
            f"webhook {encode('hook', webhook_id)} is disabled: enable it, then redeliver"
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
    """Return a webhook's deliveries, newest first; `after`: only older ones than this."""
    query = select(Delivery).where(Delivery.webhook_id == webhook_id)
    if after is not None:
        query = query.where(Delivery.id < after)
    return list(session.scalars(query.order_by(Delivery.id.desc()).limit(limit)))


def forget_old(session: Session, *, days: float) -> int:
    """Remove old finished deliveries; return the number removed."""
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
    """Select each webhook's longest due delivery; of a disabled webhook, a test."""
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
    """Return the delivery, locked, if this try is still its last."""
    query = select(Delivery).where(
        Delivery.id == claim.delivery_id, Delivery.tried_at == claim.tried_at
    )
    return session.scalar(query.with_for_update().execution_options(populate_existing=True))


def _wait(tries: int, patience: Patience) -> float | None:
    """Return the seconds to the next try; None: no retry is left."""
    return patience.retries[tries - 1] if 0 < tries <= len(patience.retries) else None


def _reason_to_disable(
    session: Session, webhook: Webhook, answer: Answer, patience: Patience
) -> str | None:
    if webhook.disabled_at is not None:
        return None
    if answer.status_code == GONE:
        return "the receiver responded 410 (Gone)"
    long = Webhook.failing_since < func.now() - timedelta(seconds=patience.failing)
    if session.scalar(select(long).where(Webhook.id == webhook.id)):
        return (
            f"every delivery has failed for {patience.failing / _DAY:g} days, last: {answer.error}"
        )
    return None


def _write(session: Session, delivery: Delivery, answer: Answer, **columns: Any) -> None:  # noqa: ANN401 - columns
    _update(session, delivery.id, status_code=answer.status_code, error=answer.error, **columns)


def _update(session: Session, delivery_id: UUID, **columns: Any) -> None:  # noqa: ANN401 - columns
    changed = update(Delivery).where(Delivery.id == delivery_id).values(**columns)
    session.execute(changed.execution_options(synchronize_session=False))


def _note(session: Session, webhook: Webhook, **columns: Any) -> None:  # noqa: ANN401 - columns
    changed = update(Webhook).where(Webhook.id == webhook.id).values(**columns)
    session.execute(changed.execution_options(synchronize_session=False))
