"""Projects and API keys."""

import hashlib
import secrets
import string
import zlib
from collections.abc import Sequence, Set
from datetime import timedelta
from functools import cache
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, joinedload

from store.errors import Conflict, NotFound, ScopeMissing
from store.ids import encode, new_id
from store.tables import ApiKey, Project

Scope = Literal["read", "submit", "admin", "server"]
"""`admin` applies to the key's project; `server` to all projects, the workers and shared data."""

PREFIX = "duet_"
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
SECRET_LENGTH = 43
CHECKSUM_LENGTH = 6
SHOWN_LENGTH = len(PREFIX) + 4


def create_project(session: Session, name: str) -> Project:
    """Return the project of that name, created if missing."""
    made = insert(Project).values(id=new_id(), name=name)
    session.execute(made.on_conflict_do_nothing(index_elements=[Project.name]))
    return session.scalars(select(Project).where(Project.name == name)).one()


def create_key(
    session: Session, project: Project, name: str, scopes: Sequence[str]
) -> tuple[ApiKey, str]:
    """Create a key; return it and its text, which cannot be shown again."""
    plaintext = _new_plaintext()
    key = ApiKey(
        id=new_id(),
        project_id=project.id,
        name=name,
        prefix=plaintext[:SHOWN_LENGTH],
        sha256=hashlib.sha256(plaintext.encode()).digest(),
        scopes=list(scopes),
    )
    session.add(key)
    session.flush()
    return key, plaintext


def check_grant(scopes: Set[str], *, by: Set[str]) -> None:
    """Check that a key grants no scope that it lacks.

    Raises:
        ScopeMissing: `by`, the scopes of the caller's key, lacks one of them.
    """
    if lacking := sorted(scopes - by):
        raise ScopeMissing(lacking[0])


def authenticate(session: Session, plaintext: str) -> ApiKey | None:
    """Find a key, with its project; None: malformed, unknown, expired or revoked.

    A mistyped key is recognized by its checksum, without a query.
    """
    if not well_formed(plaintext):
        return None
    sha256 = hashlib.sha256(plaintext.encode()).digest()
    found = session.execute(_open_key(), {"sha256": sha256}).one_or_none()
    if found is None:
        return None
    key, use_is_old = found
    if use_is_old:
        note_use(session, key.id)
    return key


@cache  # building the statement takes longer than running it
def _open_key() -> Select[ApiKey, bool]:
    query = select(ApiKey, _use_is_old()).options(joinedload(ApiKey.project))
    return query.where(ApiKey.sha256 == bindparam("sha256"), is_open())


def is_open() -> ColumnElement[bool]:
    """Whether a key is neither revoked nor expired."""
    return and_(
        ApiKey.revoked_at.is_(None),
        or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now()),
    )


def open_among(session: Session, key_ids: Sequence[UUID]) -> frozenset[UUID]:
    """Return the keys among these that are neither revoked nor expired."""
    return frozenset(session.scalars(select(ApiKey.id).where(ApiKey.id.in_(key_ids), is_open())))


def get_key(session: Session, key_id: UUID) -> ApiKey:
    """Return the key to which a row refers, even if revoked or expired."""
    return session.get_one(ApiKey, key_id)


def list_keys(
    session: Session, project_id: UUID, *, after: UUID | None = None, limit: int
) -> list[ApiKey]:
    """Return a project's keys, newest first; `after`: only keys older than this one."""
    query = select(ApiKey).where(ApiKey.project_id == project_id)
    if after is not None:
        query = query.where(ApiKey.id < after)
    return list(session.scalars(query.order_by(ApiKey.id.desc()).limit(limit)))


def revoke(session: Session, project_id: UUID, key_id: UUID, *, by: Set[str]) -> None:
    """Revoke a key; repeating the call changes nothing.

    Raises:
        NotFound: the key does not exist, or is another project's.
        ScopeMissing: the key has the scope `server`, which `by`, the caller's scopes, lack.
    """
    key = _own(session, project_id, key_id)
    check_grant({"server"} & set(key.scopes), by=by)
    found = update(ApiKey).where(ApiKey.id == key_id)
    revoked = found.values(revoked_at=func.coalesce(ApiKey.revoked_at, func.now()))
    session.execute(revoked.execution_options(synchronize_session=False))


def rotate(
    session: Session, project_id: UUID, key_id: UUID, *, overlap_seconds: float, by: Set[str]
) -> tuple[ApiKey, str]:
    """Create a successor of the same name and scopes; the old key expires after the overlap.

    Raises:
        NotFound: the key does not exist, or is another project's.
        ScopeMissing: the key has a scope that `by`, the caller's scopes, lack.
        Conflict: the key is revoked or has been rotated.
    """
    key = _own(session, project_id, key_id)
    check_grant(set(key.scopes), by=by)
    if key.revoked_at is not None or key.expires_at is not None:
        raise Conflict("this key is revoked or has been rotated: create a new one")
    ends = update(ApiKey).where(ApiKey.id == key_id)
    ends = ends.values(expires_at=func.now() + timedelta(seconds=overlap_seconds))
    session.execute(ends.execution_options(synchronize_session=False))
    return create_key(session, key.project, key.name, key.scopes)


def _own(session: Session, project_id: UUID, key_id: UUID) -> ApiKey:
    """Return a project's key, locked."""
    own = select(ApiKey).where(ApiKey.id == key_id, ApiKey.project_id == project_id)
    key = session.scalar(own.with_for_update(key_share=True))
    if key is None:
        raise NotFound("key", encode("key", key_id))
    return key


def well_formed(plaintext: str) -> bool:
    """Whether the text has the form and the checksum of a key."""
    secret, checksum = (
        plaintext.removeprefix(PREFIX)[:SECRET_LENGTH],
        plaintext[len(PREFIX) + SECRET_LENGTH :],
    )
    return (
        plaintext.startswith(PREFIX)
        and plaintext.isascii()
        and len(secret) == SECRET_LENGTH
        and checksum == _checksum(secret)
    )


def _new_plaintext() -> str:
    secret = "".join(secrets.choice(BASE62) for _ in range(SECRET_LENGTH))
    return PREFIX + secret + _checksum(secret)


def _checksum(secret: str) -> str:
    """Return the CRC-32 in base 62, most significant digit first, which detects typing errors."""
    rest, digits = zlib.crc32(secret.encode()), ""
    for _ in range(CHECKSUM_LENGTH):
        rest, digit = divmod(rest, 62)
        digits = BASE62[digit] + digits
    return digits


def note_use(session: Session, key_id: UUID) -> None:
    """Record a key's use, once a minute at most, without waiting for another transaction."""
    free = (
        select(ApiKey.id)
        .where(ApiKey.id == key_id, _use_is_old())
        .with_for_update(skip_locked=True)
    )
    used = update(ApiKey).where(ApiKey.id == free.scalar_subquery())
    session.execute(
        used.values(last_used_at=func.now()).execution_options(synchronize_session=False)
    )


def _use_is_old() -> ColumnElement[bool]:
    a_minute_ago = func.now() - timedelta(minutes=1)
    return or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < a_minute_ago)
