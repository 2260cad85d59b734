"""Lists in pages: an opaque cursor, and the next page's address as a header."""

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from fastapi import Query, Request, Response

from api.errors.problems import FieldProblem, Problem
from api.schemas.base import Item, Page

# Postgres keeps no NUL, so nothing is found by one.
NO_NUL = r"^[^\x00]*$"

Limit = Annotated[int, Query(ge=1, le=100, description="Items at most.")]


MAX_NAMES = 200

Names = Annotated[
    str | None,
    Query(
        description=f"By commas, {MAX_NAMES} at most; without: all.",
        pattern=NO_NUL,
        max_length=20_000,
    ),
]


def listed_names(names: str | None) -> list[str] | None:
    """Each once; None: all.

    Raises:
        Problem: 422, they are too many.
    """
    if not names:
        return None
    found = list(dict.fromkeys(names.split(",")))
    if len(found) > MAX_NAMES:
        detail = f"there are {len(found):,}; {MAX_NAMES} at most can be asked for at once"
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
    """The first `limit` of what was found, of which one more was asked for, and the way on.

    The header `Link: <...>; rel="next"` has the same filters; the last page has none.

    Args:
        cursor: what `after` must say for the rows that follow this one.
    """
    following = cursor(found[limit - 1]) if len(found) > limit else None
    if following is not None:
        url = request.url.include_query_params(after=following)
        response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    return Page(data=[view(row) for row in found[:limit]], next=following)
