"""Who is asking, and whether they may."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.problems import Problem
from api.services import FromServices
from store import keys
from store.keys import Scope
from store.tables import Project

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="duet"'}

_bearer = HTTPBearer(
    auto_error=False, scheme_name="ApiKey", description="An API key: `duet_` and 49 characters."
)


@dataclass(frozen=True)
class Caller:
    """The key that a request carries."""

    key_id: UUID
    key_name: str
    key_prefix: str
    scopes: frozenset[str]
    project_id: UUID
    project_name: str


def _caller(
    services: FromServices,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Caller:
    """The caller, read in a transaction of its own: a key's row is locked no longer than that.

    Raises:
        Problem: 401 without a valid key.
    """
    if credentials is None:
        detail = "send your API key in the header `Authorization: Bearer duet_...`"
        raise Problem(401, "key_missing", detail, headers=CHALLENGE)
    with services.database.session() as session:
        key = keys.authenticate(session, credentials.credentials)
        if key is None:
            detail = "this API key is not valid: it is mistyped, unknown or revoked"
            raise Problem(401, "key_invalid", detail, headers=CHALLENGE)
        project = session.get_one(Project, key.project_id)
        return Caller(
            key_id=key.id,
            key_name=key.name,
            key_prefix=key.prefix,
            scopes=frozenset(key.scopes),
            project_id=project.id,
            project_name=project.name,
        )


def _having(scope: Scope) -> Callable[[Caller], Caller]:
    def caller(caller: Annotated[Caller, Depends(_caller)]) -> Caller:
        if scope not in caller.scopes:
            detail = (
                f"this needs a key with the scope {scope!r}; "
                f"this key has {', '.join(sorted(caller.scopes)) or 'none'}"
            )
            raise Problem(403, "scope_missing", detail)
        return caller

    return caller


Anyone = Annotated[Caller, Depends(_caller)]
Reader = Annotated[Caller, Depends(_having("read"))]
Submitter = Annotated[Caller, Depends(_having("submit"))]
Admin = Annotated[Caller, Depends(_having("admin"))]
