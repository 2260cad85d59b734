"""Keys and the projects that they belong to."""

from datetime import datetime

from duet.objects.answer import Answer


class Key(Answer):
    id: str
    name: str
    prefix: str
    scopes: list[str]
    """Any of `read`, `submit`, `admin` and `server`."""
    created_at: datetime
    last_used_at: datetime | None = None
    expires_at: datetime | None = None
    """Expiry of a key that has been rotated."""
    revoked_at: datetime | None = None


class NewKey(Key):
    """A new key with its text, which is shown only once."""

    key: str


class Project(Answer):
    """A project, the owner of jobs, files and keys."""

    id: str
    name: str
    max_running: int | None = None
    max_queued: int | None = None
    weight: int = 1
    """Weight of its share of the workers."""
    created_at: datetime


class NewProject(Answer):
    """A project that has just been made, with its first key."""

    project: Project
    key: NewKey


class OwnKey(Answer):
    id: str
    name: str
    prefix: str
    scopes: list[str]


class OwnProject(Answer):
    id: str
    name: str


class AuditKey(Answer):
    id: str
    name: str


class AuditRecord(Answer):
    """One change, with the key that made it."""

    id: str
    at: datetime
    action: str
    object: str
    """Id of the created or changed object, which may have been deleted."""
    key: AuditKey
    session: str | None = None
    """Session of the browser that was signed in with the key."""
    request_id: str
    address: str | None = None


class Me(Answer):
    """The request's key, and its project."""

    key: OwnKey
    project: OwnProject
