"""Browsers that are signed in: each with a token that stands for a key, for some days at most."""

import hashlib
import secrets
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session, contains_eager

from store.access import keys
from store.ids import new_id
from store.tables import ApiKey, BrowserSession

TOKEN_BYTES = 32


def begin(session: Session, key: ApiKey, *, days: float) -> tuple[BrowserSession, str]:
    """A new session, and its token: only its hash is kept.

    Its end is fixed when it begins: reading with it writes nothing.  Those of all keys that have
    reached theirs are removed, since they open nothing.
    """
    session.execute(delete(BrowserSession).where(BrowserSession.expires_at <= func.now()))
    token = secrets.token_urlsafe(TOKEN_BYTES)
    begun = BrowserSession(
        id=new_id(),
        key_id=key.id,
        sha256=_hash(token),
        expires_at=func.now() + timedelta(days=days),
    )
    session.add(begun)
    session.flush()
    session.refresh(begun)
    return begun, token


def find(session: Session, token: str) -> BrowserSession | None:
    """Whose token this is; None when there is none, its end has come or its key's has."""
    query = (
        select(BrowserSession).join(BrowserSession.key).options(contains_eager(BrowserSession.key))
    )
    valid = BrowserSession.expires_at > func.now(), keys.is_open()
    found = session.scalars(
        query.where(BrowserSession.sha256 == _hash(token), *valid)
    ).one_or_none()
    if found is not None:
        keys.note_use(session, found.key_id)
    return found


def end(session: Session, session_id: UUID) -> None:
    """Let a token open nothing from now on."""
    session.execute(delete(BrowserSession).where(BrowserSession.id == session_id))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
