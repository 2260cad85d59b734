"""Pagination: an opaque cursor, and a `Link` header to the next page."""

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from fastapi import Query, Request, Response

from api.errors.problems import FieldProblem, Problem
from api.schemas.base import Item, Page
from grpo.values.field_errors import matching

# Postgres stores no NUL, so none can match.
NO_NUL = matching(r"^[^\x00]*$", "must not contain NUL characters")

Limit = Annotated[int, Query(ge=1, le=100, description="Maximum number of items.")]


MAX_NAMES = 200

Names = Annotated[
    str | None,
    Query(
        description=f"Separated by commas, at most {MAX_NAMES}; default: all.",
        pattern=NO_NUL,
        max_length=20_000,
    ),
]


def listed_names(names: str | None) -> list[str] | None:
    """Parse a comma-separated list, without repetitions; None: all.

    Raises:
        Problem: 422, too many items.
    """
    if not names:
        return None
    found = list(dict.fromkeys(names.split(",")))
    if len(found) > MAX_NAMES:
        detail = f"{len(found):,} names; at most {MAX_NAMES} are allowed"
        error = FieldProblem(detail=detail, parameter="names")
        raise Problem(422, "invalid_request", f"names: {detail}", errors=[error])
    return found


Row = TypeVar("Row")


def page(
    request: Request,
    response: Response,
    found: Sequence[Row],
    limit: int,
    *,
    view: Callable[[Row], Item],
    cursor: Callable[[Row], str],
) -> Page[Item]:
    """Return the first `limit` items (one more was queried), and the cursor of the next page.

    The header `Link: <...>; rel="next"` keeps the filters; the last page has no such header.

    Args:
        cursor: the value of `after` for the rows that follow this one.
    """
    following = cursor(found[limit - 1]) if len(found) > limit else None
    if following is not None:
        url = request.url.include_query_params(after=following)
        response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    return Page(data=[view(row) for row in found[:limit]], next=following)
