"""Events for webhooks, written to the outbox together with the record that causes them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Literal, get_args
from uuid import UUID

from sqlalchemy import Select, bindparam, delete, exists, insert, select
from sqlalchemy.orm import Session

from store.ids import encode, new_id, new_id_beside
from store.states import Status
from store.tables import Delivery, Event, Job, Webhook

EventType = Literal[
    "job.created",
    "job.queued",
    "job.running",
    "job.paused",
    "job.succeeded",
    "job.failed",
    "job.cancelled",
    "checkpoint.created",
]
EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)

TEST = "webhook.test"
"""Event type of a test delivery; no webhook subscribes to it."""

MAX_TEXT_LENGTH = 1000
"""Limit of a reason or a message in an event; the job itself has the full text."""


def tell(session: Session, job_id: UUID, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a delivery for each of the project's webhooks that subscribes to these records' events;
    to be called with every appended record.

    The webhooks are locked against deletion until the transaction ends: a concurrent deletion
    would make the job's own transition fail.
    """
    for row in rows:
        event = event_of(row)
        if event is not None:
            listening = {"job_id": job_id, "events": [event]}
            webhook_ids = session.scalars(_listening_and_held(), listening).all()
            if webhook_ids:
                _write(session, webhook_ids, event, _payload(session, job_id, event, row))


def tell_later(session: Session, job_id: UUID, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write one row per event, however many webhooks are subscribed; `spread` creates the
    deliveries later.  For transitions under a lock that every project waits for."""
    for row in rows:
        event = event_of(row)
        if event is None:
            continue
        if session.scalar(_any_listening(), {"job_id": job_id, "events": [event]}):
            project_id = session.scalars(select(Job.project_id).where(Job.id == job_id)).one()
            payload = _payload(session, job_id, event, row)
            values = {"id": new_id(), "project_id": project_id, "event": event, "payload": payload}
            session.execute(insert(Event).values(**values))


def spread(session: Session, *, limit: int) -> int:
    """Create deliveries of the oldest events of `tell_later`; return the number of events.

    An event is delivered to the webhooks that existed when it was written.
    """
    oldest = select(Event.id).order_by(Event.id).limit(limit).with_for_update(skip_locked=True)
    taken = (
        delete(Event)
        .where(Event.id.in_(oldest))
        .returning(Event)
        .execution_options(synchronize_session=False)
    )
    events = sorted(session.scalars(taken).all(), key=lambda event: event.id)
    for event in events:
        listening = (
            select(Webhook.id)
            .where(Webhook.project_id == event.project_id, Webhook.disabled_at.is_(None))
            .where(Webhook.events.contains([event.event]), Webhook.created_at <= event.created_at)
            .with_for_update(read=True, key_share=True)
        )
        if webhook_ids := session.scalars(listening).all():
            ids = [new_id_beside(event.id) for _ in webhook_ids]
            _write(session, webhook_ids, event.event, event.payload, ids=ids)
    return len(events)


@cache  # building the statement takes longer than running it
def _listening_and_held() -> Select[UUID]:
    return _listening().with_for_update(read=True, key_share=True, of=Webhook)


@cache
def _any_listening() -> Select[bool]:
    return select(exists(_listening().subquery()))


@cache
def _listening() -> Select[UUID]:
    return (
        select(Webhook.id)
        .join(Job, Job.project_id == Webhook.project_id)
        .where(Job.id == bindparam("job_id"), Webhook.disabled_at.is_(None))
        .where(Webhook.events.contains(bindparam("events", type_=Webhook.events.type)))
    )


def payload_of_test(webhook_id: UUID, at: datetime) -> dict[str, Any]:
    """Return the payload of a test event."""
    data = {"webhook": encode("hook", webhook_id)}
    return {"type": TEST, "timestamp": at.isoformat(), "data": data}


def event_of(row: Mapping[str, Any]) -> EventType | None:
    """Return the event that a record causes; None: no event."""
    payload = row["payload"]
    match row["kind"]:
        case "checkpoint":
            return "checkpoint.created"
        case "status" if row["seq"] == 1:
            return "job.created"
        # A user's request to a running job is on its timeline, but does not change the status.
        case "status" if payload["status"] == Status.RUNNING and "wanted" in payload:
            return None
        case "status":
            return _MOVED[Status(payload["status"])]
        case _:
            return None


_MOVED: Mapping[Status, EventType] = {
    Status.QUEUED: "job.queued",
    Status.RUNNING: "job.running",
    Status.PAUSED: "job.paused",
    Status.SUCCEEDED: "job.succeeded",
    Status.FAILED: "job.failed",
    Status.CANCELLED: "job.cancelled",
}


def _write(
    session: Session,
    webhook_ids: Sequence[UUID],
    event: str,
    payload: dict[str, Any],
    *,
    ids: Sequence[UUID] | None = None,
) -> None:
    """Write the deliveries of an event; `ids`: their ids; None: new ones."""
    pairs = zip(ids or [new_id() for _ in webhook_ids], webhook_ids, strict=True)
    session.execute(
        insert(Delivery),
        [
            {"id": id, "webhook_id": webhook_id, "event": event, "payload": payload}
            for id, webhook_id in pairs
        ],
    )


def _payload(
    session: Session, job_id: UUID, event: EventType, row: Mapping[str, Any]
) -> dict[str, Any]:
    """Return {type, timestamp, data}, as in Standard Webhooks."""
    columns = (Job.name, Job.status, Job.status_reason, Job.error, Job.labels, Job.attempt)
    job = session.execute(select(*columns).where(Job.id == job_id)).one()
    data = {
        "id": encode("job", job_id),
        "name": job.name,
        "status": job.status,
        "reason": _short(job.status_reason),
        "error": _error(job.error),
        "attempt": job.attempt,
        "labels": job.labels,
    }
    if row["kind"] == "checkpoint":
        data["checkpoint"] = row["payload"]
    return {"type": event, "timestamp": row["at"].isoformat(), "data": data}


def _error(error: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return {code, message, hint}, without the end of the log, which may contain anything."""
    if error is None:
        return None
    return {name: _short(error.get(name)) for name in ("code", "message", "hint")}


def _short(text: str | None) -> str | None:
    if text is None or len(text) <= MAX_TEXT_LENGTH:
        return text
    return f"{text[: MAX_TEXT_LENGTH - 1]}…"
