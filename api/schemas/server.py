"""The server's catalogue, the caller, and health, as the API shows them."""

from typing import Any, Generic, Literal, Self

from pydantic import Field

from api.dependencies.auth import Caller
from api.schemas.base import Item, View
from store import ids


class PresetView(View):
    """A preset for a spec."""

    name: str
    description: str
    settings: dict[str, Any]


class ModelView(View):
    """A built-in model."""

    name: str
    description: str
    context_tokens: int


class DatasetView(View):
    """A built-in data set."""

    name: str
    description: str


class RewardView(View):
    """A reward for a spec."""

    type: str
    description: str
    settings: dict[str, Any] = Field(description="JSON schema of its settings.")


class Catalogue(View, Generic[Item]):
    """The complete list."""

    data: list[Item]
    next: None = None


class OwnKey(View):
    id: str
    name: str
    prefix: str = Field(
        description="The key's first characters; the rest is shown only once, at creation."
    )
    scopes: list[str]

    @classmethod
    def of(cls, caller: Caller) -> Self:
        return cls(
            id=ids.encode("key", caller.key_id),
            name=caller.key_name,
            prefix=caller.key_prefix,
            scopes=sorted(caller.scopes),
        )


class OwnProject(View):
    id: str
    name: str

    @classmethod
    def of(cls, caller: Caller) -> Self:
        return cls(id=ids.encode("proj", caller.project_id), name=caller.project_name)


class Me(View):
    """The calling key and its project."""

    key: OwnKey
    project: OwnProject


class Alive(View):
    status: Literal["alive"] = "alive"


class Ready(View):
    """Readiness. `degraded` counts as ready: without Redis, workers find jobs by polling; or a
    worker cannot run jobs, and takes none."""

    status: Literal["ready", "degraded", "unready"]
    checks: dict[str, Literal["ok", "failed"]]
    problem: str | None = Field(
        default=None, description="Why the check `migrations` failed; null: it did not."
    )
