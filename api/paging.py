"""Lists in pages: an opaque cursor, and the next page's address as a header."""

from typing import Annotated

from fastapi import Query, Request, Response

# Postgres keeps no NUL, so nothing is found by one.
NO_NUL = r"^[^\x00]*$"

Limit = Annotated[int, Query(ge=1, le=100, description="Items at most.")]


def link_next(request: Request, response: Response, cursor: str | None) -> None:
    """`Link: <...>; rel="next"` with the same filters, unless this was the last page."""
    if cursor is not None:
        url = request.url.include_query_params(after=cursor)
        response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
