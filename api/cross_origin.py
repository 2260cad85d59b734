"""Requests of web pages of other origins (CORS): refused unless the operator has named the origin.

Allowed pages send an API key; the session cookie of Duet's own page is never accepted from them.
"""

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "If-Range",
    "Last-Event-ID",
    "Range",
    "X-Request-ID",
    "traceparent",
)
EXPOSED = (
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Idempotent-Replayed",
    "Link",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-Request-ID",
)
"""Response headers that scripts of the allowed pages can read."""
PREFLIGHT_SECONDS = 600
"""Time that a browser may keep the answer to a preflight request."""


def allow_origins(app: FastAPI, origins: Sequence[str]) -> None:
    """Allow pages of these origins to call the API; answers to all others stay unreadable."""
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=REQUEST_HEADERS,
            expose_headers=EXPOSED,
            max_age=PREFLIGHT_SECONDS,
        )
