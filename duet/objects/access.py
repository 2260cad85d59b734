"""Keys and the projects that they belong to."""

from datetime import datetime

from duet.objects.answer import Answer


class Key(Answer):
    id: str
    name: str
    prefix: str
    scopes: list[str]
    """Of `read`, `submit`, `admin` and `server`."""
    created_at: datetime
    last_used_at: datetime | None = None
    expires_at: datetime | None = None
    """Of a key that has been rotated."""
    revoked_at: datetime | None = None


class NewKey(Key):
    """As it is shown once, when it is made."""

    key: str


class Project(Answer):
    """Its jobs, files and keys are nobody else's."""

    id: str
    name: str
    max_running: int | None = None
    max_queued: int | None = None
    weight: int = 1
    """Its share of the workers."""
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
    """One change, and who made it."""

    id: str
    at: datetime
    action: str
    object: str
    """The id of what was made or changed; it may be gone."""
    key: AuditKey
    session: str | None = None
    """Of the browser that was signed in with the key."""
    request_id: str
    address: str | None = None


class Me(Answer):
    """The key that asks, and its project."""

    key: OwnKey
    project: OwnProject
