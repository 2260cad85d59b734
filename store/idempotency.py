"""Requests that may come again: the first answer is kept and replayed."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import psycopg.errors
from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from store.errors import KeyBusy, KeyReused
from store.tables import IdempotencyKey

KEPT = timedelta(hours=48)
WAIT_SECONDS = 5


@dataclass(frozen=True)
class Replay:
    """The first answer."""

    status_code: int
    location: str | None
    """The Location header, if there was one."""
    body: str


def begin(
    session: Session,
    project_id: UUID,
    route: str,
    key: str,
    body_hash: str,
    *,
    kept: timedelta = KEPT,
    wait_seconds: float = WAIT_SECONDS,
) -> Replay | None:
    """Take the key until the transaction ends; the first answer if there was one not long ago.

    A simultaneous duplicate waits here for the first, and then finds its answer.

    Raises:
        KeyReused: the key came before with another body.
        KeyBusy: the first took longer than `wait_seconds`; the transaction is over.
    """
    _lock(session, f"{project_id} {route} {key}", wait_seconds)
    query = select(IdempotencyKey).where(
        IdempotencyKey.project_id == project_id,
        IdempotencyKey.route == route,
        IdempotencyKey.key == key,
        IdempotencyKey.created_at > func.now() - kept,
    )
    first = session.scalar(query)
    if first is None:
        return None
    if first.body_hash != body_hash:
        raise KeyReused(key)
    return Replay(first.status_code, first.location, first.body)


def finish(
    session: Session,
    project_id: UUID,
    route: str,
    key: str,
    body_hash: str,
    *,
    status_code: int,
    location: str | None,
    body: str,
) -> None:
    """Keep the answer, in the transaction of what it tells of; what is too old goes.

    It takes the place of an earlier one: `begin` was asked whether that counts.
    """
    session.execute(
        delete(IdempotencyKey)
        .where(IdempotencyKey.created_at <= func.now() - KEPT)
        .execution_options(synchronize_session=False)
    )
    answer = {
        "body_hash": body_hash,
        "status_code": status_code,
        "location": location,
        "body": body,
    }
    kept = insert(IdempotencyKey).values(project_id=project_id, route=route, key=key, **answer)
    columns = ["project_id", "route", "key"]
    newer = {**answer, "created_at": func.now()}
    session.execute(kept.on_conflict_do_update(index_elements=columns, set_=newer))


def _lock(session: Session, name: str, wait_seconds: float) -> None:
    """An advisory lock until the transaction ends, waited for `wait_seconds` at most."""
    session.execute(text(f"set local lock_timeout = {round(wait_seconds * 1000)}"))
    try:
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))
    except OperationalError as error:
        if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
            raise
        raise KeyBusy(
            f"a request with this Idempotency-Key has been going on for {wait_seconds:g} s: "
            "repeat it in a moment"
        ) from None
    session.execute(text("set local lock_timeout to default"))
