"""Idempotent requests: the first response is kept and replayed."""

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
    """The first response."""

    status_code: int
    location: str | None
    """The Location header, if any."""
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
    """Lock the key until the transaction ends; return the first response if it is recent.

    A simultaneous duplicate waits here for the first request, and then finds its response.

    Raises:
        KeyReused: the key was used with a different body.
        KeyBusy: the first request took longer than `wait_seconds`; the transaction is over.
    """
    _lock(session, f"{project_id} {route} {key}", wait_seconds)
    return replay(session, project_id, route, key, body_hash, kept=kept)


def replay(
    session: Session,
    project_id: UUID,
    route: str,
    key: str,
    body_hash: str,
    *,
    kept: timedelta = KEPT,
) -> Replay | None:
    """Return the first response if it is recent, without waiting for a request in progress.

    Raises:
        KeyReused: the key was used with a different body.
    """
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
    """Store the response, in the transaction of the change; remove responses that are too old.

    An earlier response is replaced: `begin` has decided that it is outdated.
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
    """Take an advisory lock until the transaction ends; wait at most `wait_seconds`."""
    session.execute(text(f"set local lock_timeout = {round(wait_seconds * 1000)}"))
    try:
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))
    except OperationalError as error:
        if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
            raise
        raise KeyBusy(
            f"a request with this Idempotency-Key has been in progress for {wait_seconds:g} s: "
            "retry it shortly"
        ) from None
    session.execute(text("set local lock_timeout to default"))
