"""The session cookie of a signed-in browser, and the CSRF token of our page."""

import hmac
import re
from urllib.parse import urlsplit

from fastapi import Request, Response

from api.errors.problems import Problem

CSRF_HEADER = "X-CSRF-Token"
SAFE_METHODS = frozenset({"GET", "HEAD"})
PORT = re.compile(r":(\d{1,5})$")


def give(response: Response, request: Request, token: str, *, seconds: float) -> None:
    """Set the session cookie: unreadable to scripts, and not sent with other sites' requests."""
    response.set_cookie(
        _name(request),
        token,
        max_age=int(seconds),
        httponly=True,
        samesite="strict",
        secure=_is_https(request),
    )


def removal(request: Request) -> str:
    """The `Set-Cookie` header that removes the cookie."""
    response = Response()
    response.delete_cookie(
        _name(request), httponly=True, samesite="strict", secure=_is_https(request)
    )
    return response.headers["set-cookie"]


def token_of(request: Request) -> str | None:
    """The token in the browser's cookie."""
    return request.cookies.get(_name(request)) or None


def csrf_token(token: str) -> str:
    """The session's CSRF token: derived from the cookie, stored nowhere."""
    return hmac.digest(token.encode(), b"duet csrf", "sha256").hex()


def check_own_page(request: Request) -> None:
    """Refuse a request that another site had the browser send.

    Browsers say where a request comes from in `Sec-Fetch-Site`, or, older ones and those without
    TLS, in `Origin`; a client that sends neither is not a browser.

    Raises:
        Problem: 403, the request comes from another site.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        own = site == "same-origin"
    else:
        own = origin is None or _host_of(origin) == request.headers.get("host")
    if not own:
        raise Problem(403, "other_origin", "requests from another site's page are not allowed")


def _host_of(origin: str) -> str | None:
    """Host and port of an origin; None: it has none that can be read."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None


def check_csrf(request: Request, token: str) -> None:
    """Refuse a change that our page did not send.

    Raises:
        Problem: 403, the request comes from another site or lacks the session's CSRF token.
    """
    if request.method in SAFE_METHODS:
        return
    check_own_page(request)
    sent = request.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(sent.encode(), csrf_token(token).encode()):
        detail = f"send the `csrf_token` of GET /v1/session in the header {CSRF_HEADER}"
        raise Problem(403, "csrf_token_wrong", detail)


def _name(request: Request) -> str:
    """The cookie's name, with the port: cookies ignore ports, so servers on one host would
    otherwise sign each other out. `__Host-` keeps neighboring hosts from setting it."""
    port = PORT.search(request.headers.get("host", ""))
    prefix = "__Host-" if _is_https(request) else ""
    return f"{prefix}duet_session{f'_{port[1]}' if port else ''}"


def _is_https(request: Request) -> bool:
    return request.url.scheme == "https"
