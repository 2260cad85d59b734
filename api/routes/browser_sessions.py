"""Browser sign-in: exchange of a key for a cookie that no script can read."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import TypeAdapter
from sqlalchemy.orm import Session

from api.dependencies import cookies
from api.dependencies.auth import Caller, address_of, session_ended, with_key
from api.dependencies.body import read_json, request_of, validated
from api.dependencies.services import FromServices
from api.dependencies.transaction import RequestSession
from api.errors.responses import problems
from api.limits import rate_limits
from api.schemas.browser_sessions import SessionView, SignIn
from store import ids
from store.access import audit, browser_sessions
from store.tables import BrowserSession

router = APIRouter(prefix="/session", tags=["session"])

MAX_BYTES = 1024  # of a request without a key
SIGN_INS_PER_MINUTE = 30  # per address, successful or not
DAY_SECONDS = 86_400
SIGN_IN = TypeAdapter(SignIn)
SIGNED_OUT = {204: {"description": "This browser is not signed in."}}


async def _sent(request: Request) -> SignIn:
    cookies.check_own_page(request)  # another site cannot sign the browser in
    return validated(SIGN_IN, await read_json(request, MAX_BYTES))


@router.post(
    "", status_code=201, responses=problems(400, 413), openapi_extra=request_of(SignIn.__name__)
)
def sign_in(
    sent: Annotated[SignIn, Depends(_sent)],
    session: RequestSession,
    services: FromServices,
    request: Request,
    response: Response,
) -> SessionView:
    """Exchange a key for a session, whose token is a cookie: HttpOnly, SameSite=Strict.

    The cookie has the key's access until the session or the key ends. Changes also need the CSRF
    token, and are accepted from this server's own pages only.
    """
    who = f"sign-in/{address_of(request)}"
    rate_limits.check(request, services.rate_limits, who, limit=SIGN_INS_PER_MINUTE)
    key = with_key(session, sent.key)
    _end(session, request, cookies.token_of(request))
    days = services.settings.session_days
    begun, token = browser_sessions.begin(session, key, days=days)
    cookies.give(response, request, token, seconds=days * DAY_SECONDS)
    caller = Caller.of(session, request, key, session_id=begun.id)
    audit.note(session, caller.actor, "session.begin", ids.encode("ses", begun.id))
    return _view(caller, begun, token)


@router.get("", response_model=SessionView, responses={**SIGNED_OUT, **problems()})
def read_session(session: RequestSession, request: Request) -> SessionView | Response:
    """Return the key and project of this browser's session, with the CSRF token; 204 if not signed
    in."""
    token = cookies.token_of(request)
    if token is None:
        return Response(status_code=204)
    found = browser_sessions.find(session, token)
    if found is None:
        raise session_ended({"Set-Cookie": cookies.removal(request)})
    return _view(Caller.of(session, request, found.key), found, token)


@router.delete("", status_code=204, responses=problems())
def sign_out(session: RequestSession, request: Request) -> Response:
    """End this browser's session, if any."""
    token = cookies.token_of(request)
    if token is not None:
        cookies.check_csrf(request, token)
        _end(session, request, token)
    return Response(status_code=204, headers={"Set-Cookie": cookies.removal(request)})


def _end(session: Session, request: Request, token: str | None) -> None:
    found = browser_sessions.find(session, token) if token else None
    if found is not None:
        browser_sessions.end(session, found.id)
        caller = Caller.of(session, request, found.key, session_id=found.id)
        audit.note(session, caller.actor, "session.end", ids.encode("ses", found.id))


def _view(caller: Caller, found: BrowserSession, token: str) -> SessionView:
    return SessionView.of(caller, csrf_token=cookies.csrf_token(token), expires_at=found.expires_at)
