"""Conversion of error responses into exceptions."""

from contextlib import suppress

import httpx

from duet.errors import (
    Conflict,
    DuetError,
    InvalidRequest,
    NotFound,
    NotReady,
    PermissionDenied,
    Problem,
    RateLimited,
    ServerError,
    TooLarge,
    Unauthenticated,
    Unreachable,
)

KINDS: dict[int, type[Problem]] = {
    400: InvalidRequest,
    401: Unauthenticated,
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    422: InvalidRequest,
    429: RateLimited,
}


def error_of(answer: httpx.Response) -> DuetError:
    """Return the exception for an error response; one that is not Duet's is named as such."""
    try:
        body = answer.json()
        if "checks" in body:
            url = f"{answer.url.scheme}://{answer.url.netloc.decode()}"
            return NotReady(url, body["checks"], body.get("problem"))
        title, code = body["title"], body["code"]
    except (ValueError, KeyError, TypeError):
        words = f"{answer.url} answered {answer.status_code} {answer.reason_phrase}"
        return Unreachable(f"{words}, which is not a response from Duet: check the address")
    status = answer.status_code
    errors = [
        (item.get("pointer") or item.get("parameter") or "", item["detail"])
        for item in body.get("errors") or []
    ]
    kind = KINDS.get(status, ServerError if status >= 500 else Problem)
    return kind(
        status,
        code,
        title,
        body.get("detail") or "",
        errors,
        answer.headers.get("x-request-id"),
        retry_after(answer),
    )


def retry_after(answer: httpx.Response) -> float | None:
    """Return the seconds that the server asks to wait; a date, as proxies may send, is ignored."""
    with suppress(KeyError, ValueError):
        return max(float(answer.headers["retry-after"]), 0.0)
    return None
