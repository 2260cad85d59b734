"""What this server offers, who asks it, and how it is."""

from typing import Any, Generic, Literal, Self

from pydantic import Field

from api.dependencies.auth import Caller
from api.schemas.base import Item, View
from store import ids


class PresetView(View):
    """Settings that a spec can start from."""

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
    """A reward that a spec can name."""

    type: str
    description: str
    settings: dict[str, Any] = Field(description="JSON schema of its settings.")


class Catalogue(View, Generic[Item]):
    """All there are."""

    data: list[Item]
    next: None = None


class OwnKey(View):
    id: str
    name: str
    prefix: str = Field(description="How it begins; the rest is shown once, when it is made.")
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
    """The key that asks."""

    key: OwnKey
    project: OwnProject


class Alive(View):
    status: Literal["alive"] = "alive"


class Ready(View):
    """`degraded` is ready: jobs are taken, and found by the workers without Redis; or a worker
    cannot write, and takes none."""

    status: Literal["ready", "degraded", "unready"]
    checks: dict[str, Literal["ok", "failed"]]
