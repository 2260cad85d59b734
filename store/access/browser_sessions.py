"""Browser sessions: each has a token that represents a key for a limited number of days."""

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
    """Create a session and its token, of which only the hash is stored.

    The expiry is fixed at creation, so that reads with the token write nothing.  Expired sessions
    of all keys are removed.
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
    """Find the session of a token; None: unknown or expired, or its key is no longer valid."""
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
    """End a session: its token is no longer valid."""
    session.execute(delete(BrowserSession).where(BrowserSession.id == session_id))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
