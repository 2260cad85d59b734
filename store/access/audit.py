"""Audit records: one for each change by a key's holder, in the change's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session, contains_eager

from store.ids import new_id
from store.tables import AuditRecord

Action = Literal[
    "checkpoint.delete",
    "delivery.redeliver",
    "file.delete",
    "file.upload",
    "job.cancel",
    "job.change",
    "job.delete",
    "job.fork",
    "job.kill",
    "job.pause",
    "job.resume",
    "job.retry",
    "job.submit",
    "key.create",
    "key.revoke",
    "key.rotate",
    "project.create",
    "project.set_quota",
    "secret.delete",
    "secret.set",
    "session.begin",
    "session.end",
    "sweep.cancel",
    "sweep.kill",
    "sweep.submit",
    "webhook.change",
    "webhook.create",
    "webhook.delete",
    "webhook.rotate_secret",
    "webhook.test",
    "worker.drain",
    "worker.undrain",
]
MOST_REMOVED = 10_000  # in one call


@dataclass(frozen=True)
class Actor:
    """The author of a change, and the client's address."""

    project_id: UUID
    key_id: UUID
    session_id: UUID | None
    """The browser session; None: the key itself was sent."""
    request_id: str
    address: str | None


def note(
    session: Session, by: Actor, action: Action, object: str, *, of_project: UUID | None = None
) -> None:
    """Record a change.  `object`: the id of the created or changed object, as the API shows it.

    `of_project`: the object's project.  If it is not the key's project it gets a record as well,
    without the client's address.
    """
    session.execute(insert(AuditRecord), [_record(by, action, object)])
    if of_project not in {None, by.project_id}:
        copy = {"project_id": of_project, "session_id": None, "address": None}
        session.execute(insert(AuditRecord), [_record(by, action, object) | copy])


def _record(by: Actor, action: Action, object: str) -> dict[str, Any]:
    return {
        "id": new_id(),
        "project_id": by.project_id,
        "key_id": by.key_id,
        "session_id": by.session_id,
        "action": action,
        "object": object,
        "request_id": by.request_id,
        "address": by.address,
    }


def list_records(
    session: Session,
    project_id: UUID,
    *,
    action: Action | None = None,
    key_id: UUID | None = None,
    object: str | None = None,
    after: UUID | None = None,
    limit: int,
) -> Sequence[AuditRecord]:
    """Return a project's audit records, newest first; `after`: only records before this one."""
    query = select(AuditRecord).join(AuditRecord.key).options(contains_eager(AuditRecord.key))
    query = query.where(AuditRecord.project_id == project_id)
    wanted = {
        AuditRecord.action: action,
        AuditRecord.key_id: key_id,
        AuditRecord.object: object,
    }
    query = query.where(*(column == value for column, value in wanted.items() if value is not None))
    if after is not None:
        query = query.where(AuditRecord.id < after)
    return session.scalars(query.order_by(AuditRecord.id.desc()).limit(limit)).all()


def forget_old(session: Session, *, keep_days: float) -> int:
    """Remove old records, a bounded number per call; return the number removed."""
    old = select(AuditRecord.id).where(AuditRecord.at < func.now() - timedelta(days=keep_days))
    some = old.order_by(AuditRecord.at).limit(MOST_REMOVED).with_for_update(skip_locked=True)
    removed = delete(AuditRecord).where(AuditRecord.id.in_(some)).returning(AuditRecord.id)
    ids = session.scalars(removed.execution_options(synchronize_session=False))
    return len(ids.all())
