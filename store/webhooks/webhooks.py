"""Webhooks of a project: creation, changes and deletion."""

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TypedDict
from uuid import UUID

from sqlalchemy import Select, case, func, select, update
from sqlalchemy import delete as delete_rows
from sqlalchemy.orm import Session

from store.errors import Conflict, NotFound
from store.ids import encode, new_id
from store.tables import Delivery, Project, Webhook
from store.webhooks.events import EventType

SECRET_PREFIX = "whsec_"
SECRET_BYTES = 32
ROTATION_HOURS = 24


class Change(TypedDict, total=False):
    """Changeable fields of a webhook."""

    url: str
    description: str
    events: Sequence[EventType]
    enabled: bool


def create(
    session: Session,
    *,
    project_id: UUID,
    key_id: UUID,
    url: str,
    description: str,
    events: Sequence[EventType],
) -> Webhook:
    """Create a webhook, which receives events from now on.  The caller must have checked `url`."""
    webhook = Webhook(
        id=new_id(),
        project_id=project_id,
        created_by=key_id,
        url=url,
        description=description,
        events=list(events),
        secret=_new_secret(),
    )
    session.add(webhook)
    session.flush()
    session.refresh(webhook)
    return webhook


def hold_place(session: Session, project_id: UUID, *, most: int) -> None:
    """Reserve room for one more webhook: no other is added until the transaction ends.

    Raises:
        Conflict: the project is at its limit of webhooks.
    """
    own = select(Project.id).where(Project.id == project_id)
    session.execute(own.with_for_update(key_share=True))
    held = select(func.count()).select_from(Webhook).where(Webhook.project_id == project_id)
    if session.scalars(held).one() >= most:
        raise Conflict(
            f"this project has {most} webhooks, its limit (DUET_MAX_WEBHOOKS): delete one, or "
            "subscribe one to more events"
        )


def get(session: Session, project_id: UUID, webhook_id: UUID) -> Webhook:
    """Return one webhook of a project.

    Raises:
        NotFound: the webhook does not exist, or is another project's.
    """
    return _found(session.scalar(_of_project(project_id, webhook_id)), webhook_id)


def list_webhooks(
    session: Session, project_id: UUID, *, after: UUID | None = None, limit: int
) -> list[Webhook]:
    """Return a project's webhooks, newest first; `after`: only webhooks older than this one."""
    query = select(Webhook).where(Webhook.project_id == project_id)
    if after is not None:
        query = query.where(Webhook.id < after)
    return list(session.scalars(query.order_by(Webhook.id.desc()).limit(limit)))


def locked(session: Session, project_id: UUID, webhook_id: UUID) -> Webhook:
    """Return a webhook, its row locked against other changes until the transaction ends.

    A change of a webhook and its deliveries locks the webhook first; jobs, which only write
    deliveries for it, do not wait.

    Raises:
        NotFound: the webhook does not exist, or is another project's.
    """
    query = _of_project(project_id, webhook_id).with_for_update(key_share=True)
    found = session.scalar(query.execution_options(populate_existing=True))
    return _found(found, webhook_id)


def change(
    session: Session, project_id: UUID, webhook_id: UUID, wanted: Change, *, by: str
) -> Webhook:
    """Change the fields in `wanted`.  `enabled` resets a disabled webhook.

    Raises:
        NotFound: the webhook does not exist, or is another project's.
    """
    webhook = locked(session, project_id, webhook_id)
    columns = {name: value for name, value in wanted.items() if name != "enabled"}
    if columns:
        _update(session, webhook.id, **columns)
    match wanted.get("enabled"):
        case True if webhook.disabled_at is not None:
            _update(session, webhook.id, disabled_at=None, disabled_reason=None, failing_since=None)
        case False if webhook.disabled_at is None:
            disable(session, webhook.id, f"disabled by {by}")
    session.refresh(webhook)
    return webhook


def rotate_secret(session: Session, project_id: UUID, webhook_id: UUID) -> Webhook:
    """Set a new secret; the previous one also signs for a day.

    Raises:
        NotFound: the webhook does not exist, or is another project's.
    """
    webhook = locked(session, project_id, webhook_id)
    _update(
        session,
        webhook.id,
        secret=_new_secret(),
        old_secret=webhook.secret,
        old_secret_until=func.now() + timedelta(hours=ROTATION_HOURS),
    )
    session.refresh(webhook)
    return webhook


def disable(session: Session, webhook_id: UUID, reason: str) -> None:
    """Disable a webhook and abandon its pending deliveries.  Its row must be locked."""
    off = func.coalesce(Webhook.disabled_at, func.now())
    _update(session, webhook_id, disabled_at=off, disabled_reason=reason)
    waiting = Delivery.webhook_id == webhook_id, Delivery.next_try_at.is_not(None)
    given_up = update(Delivery).where(*waiting)
    session.execute(
        given_up.values(
            next_try_at=None, error=func.coalesce(Delivery.error, "the webhook was disabled")
        ).execution_options(synchronize_session=False)
    )


def delete(session: Session, project_id: UUID, webhook_id: UUID) -> None:
    """Remove a webhook with its deliveries.

    Raises:
        NotFound: the webhook does not exist, or is another project's.
    """
    removed = delete_rows(Webhook).where(Webhook.id == webhook_id, Webhook.project_id == project_id)
    returning = removed.returning(Webhook.id).execution_options(synchronize_session=False)
    if session.scalar(returning) is None:
        raise NotFound("webhook", encode("hook", webhook_id))


def signature(session: Session, webhook_id: UUID) -> tuple[list[str], datetime]:
    """Return a webhook's valid secrets and the present time, by the database's clock."""
    still = Webhook.old_secret_until > func.now()
    query = select(Webhook.secret, case((still, Webhook.old_secret)), func.now())
    new, old, now = session.execute(query.where(Webhook.id == webhook_id)).one()
    return [new] if old is None else [new, old], now


def _new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _update(session: Session, webhook_id: UUID, **columns: Any) -> None:  # noqa: ANN401 - columns
    changed = update(Webhook).where(Webhook.id == webhook_id).values(**columns)
    session.execute(changed.execution_options(synchronize_session=False))


def _of_project(project_id: UUID, webhook_id: UUID) -> Select[Webhook]:
    return select(Webhook).where(Webhook.project_id == project_id, Webhook.id == webhook_id)


def _found(webhook: Webhook | None, webhook_id: UUID) -> Webhook:
    if webhook is None:
        raise NotFound("webhook", encode("hook", webhook_id))
    return webhook
