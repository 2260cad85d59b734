"""Keys and projects, as the API shows them."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.base import View
from api.schemas.paging import NO_NUL
from store import ids
from store.access.keys import Scope
from store.tables import ApiKey, Project

Name = Annotated[str, Field(min_length=1, max_length=100, pattern=NO_NUL)]
Scopes = Annotated[
    list[Scope],
    Field(
        min_length=1,
        description="read: read everything in the project; submit: jobs and files; admin: the "
        "project's keys, secrets, webhooks and audit log; server: all projects and "
        "workers. A key cannot grant a scope that it lacks.",
    ),
]
Limit = Annotated[int, Field(ge=0, le=2**31 - 1, strict=True)] | None


class NewKey(BaseModel):
    """Request for a key of the caller's project."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name = Field(description="Owner or purpose.")
    scopes: Scopes


class KeyView(View):
    """An API key."""

    id: str
    name: str
    prefix: str = Field(
        description="The key's first characters; the rest is shown only once, at creation."
    )
    scopes: list[str]
    created_at: datetime
    last_used_at: datetime | None = Field(description="Last use, accurate to the minute.")
    expires_at: datetime | None = Field(description="When a rotated key expires; null: never.")
    revoked_at: datetime | None = Field(description="When the key was revoked.")

    @classmethod
    def of(cls, key: ApiKey) -> Self:
        return cls(**_facts(key))


class KeyWithSecret(KeyView):
    """A key that has just been created."""

    key: str = Field(description="The key; shown only once.")

    @classmethod
    def made(cls, key: ApiKey, plaintext: str) -> Self:
        return cls(**_facts(key), key=plaintext)


def _facts(key: ApiKey) -> dict:
    return {
        "id": ids.encode("key", key.id),
        "name": key.name,
        "prefix": key.prefix,
        "scopes": key.scopes,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }


class ProjectQuota(BaseModel):
    """A project's limits (null: none) and its share of the workers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_running: Limit = Field(
        default=None, description="Maximum number of jobs running at a time."
    )
    max_queued: Limit = Field(default=None, description="Maximum number of queued jobs.")
    weight: Annotated[int, Field(ge=1, le=1000, strict=True)] = Field(
        default=1,
        description="Jobs that it runs for each one of a project of weight 1, while both have "
        "jobs waiting.",
    )


class NewProject(ProjectQuota):
    """Request for a project with its first key."""

    name: Name
    key_name: Name = "first"
    scopes: Scopes = Field(default=["read", "submit"], description="Scopes of its first key.")


class ProjectView(View):
    """A project; its jobs, files and keys are not visible to others."""

    id: str
    name: str
    max_running: int | None
    max_queued: int | None
    weight: int = Field(description="Its share of the workers; 1 by default.")
    created_at: datetime

    @classmethod
    def of(cls, project: Project) -> Self:
        return cls(
            id=ids.encode("proj", project.id),
            name=project.name,
            max_running=project.max_running,
            max_queued=project.max_queued,
            weight=project.weight,
            created_at=project.created_at,
        )


class ProjectWithKey(View):
    """A project that has just been created."""

    project: ProjectView
    key: KeyWithSecret
