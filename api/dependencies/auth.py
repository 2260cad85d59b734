"""Authentication and authorization: the caller of a request, and its scopes."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Self
from uuid import UUID

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.orm import Session

from api.dependencies import cookies
from api.dependencies.services import FromServices, Services
from api.errors.problems import Problem
from api.limits import rate_limits
from store.access import browser_sessions, keys
from store.access.audit import Actor
from store.access.keys import Scope
from store.tables import ApiKey, Project

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="duet"'}

_bearer = HTTPBearer(
    auto_error=False, scheme_name="ApiKey", description="An API key: `duet_` and 49 characters."
)


@dataclass(frozen=True)
class Caller:
    """The key that a request carries, or that the browser is signed in with."""

    key_id: UUID
    key_name: str
    key_prefix: str
    scopes: frozenset[str]
    project_id: UUID
    project_name: str
    actor: Actor

    @classmethod
    def of(
        cls, session: Session, request: Request, key: ApiKey, *, session_id: UUID | None = None
    ) -> Self:
        project = session.get_one(Project, key.project_id)
        return cls(
            key_id=key.id,
            key_name=key.name,
            key_prefix=key.prefix,
            scopes=frozenset(key.scopes),
            project_id=project.id,
            project_name=project.name,
            actor=Actor(
                project_id=project.id,
                key_id=key.id,
                session_id=session_id,
                request_id=request.state.request_id,
                address=address_of(request),
            ),
        )


def address_of(request: Request) -> str | None:
    """Return the client's address, as seen by the server or a trusted proxy."""
    return request.client.host if request.client else None


def _caller(
    request: Request,
    services: FromServices,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Caller:
    """Return the caller, within the rate limit of its key (shared with that key's browser
    sessions).

    Raises:
        Problem: 401 without a valid key or session; 403 for a change by cookie that did not come
            from our page; 429 over the limit.
    """
    caller = _known(request, services, credentials)
    limit = services.settings.requests_per_minute
    rate_limits.check(request, services.rate_limits, f"key/{caller.key_id}", limit=limit)
    return caller


def _known(
    request: Request, services: Services, credentials: HTTPAuthorizationCredentials | None
) -> Caller:
    """Authenticate, each statement in a transaction of its own so that the key's row is locked
    briefly. A key takes precedence over a cookie."""
    with services.database.autocommit() as session:
        if credentials is not None:
            return Caller.of(session, request, with_key(session, credentials.credentials))
        if token := cookies.token_of(request):
            return _with_cookie(session, request, token)
    detail = "send your API key in the header `Authorization: Bearer duet_...`"
    raise Problem(401, "key_missing", detail, headers=CHALLENGE)


def with_key(session: Session, plaintext: str) -> ApiKey:
    """Return the API key of this plaintext.

    Raises:
        Problem: 401, the key is not valid.
    """
    key = keys.authenticate(session, plaintext)
    if key is None:
        detail = "this API key is not valid: it is mistyped, unknown, expired or revoked"
        raise Problem(401, "key_invalid", detail, headers=CHALLENGE)
    return key


def session_ended(headers: dict[str, str] | None = None) -> Problem:
    """Return the problem for a browser whose cookie is no longer valid."""
    detail = "your session has ended: sign in again"
    return Problem(401, "session_ended", detail, headers={**CHALLENGE, **(headers or {})})


def _with_cookie(session: Session, request: Request, token: str) -> Caller:
    found = browser_sessions.find(session, token)
    if found is None:
        raise session_ended()
    cookies.check_csrf(request, token)
    return Caller.of(session, request, found.key, session_id=found.id)


def _having(scope: Scope) -> Callable[[Caller], Coroutine[None, None, Caller]]:
    async def caller(caller: Annotated[Caller, Depends(_caller)]) -> Caller:
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
Operator = Annotated[Caller, Depends(_having("server"))]
