"""A misspelt query parameter is an error, not a filter that silently does nothing."""

from difflib import get_close_matches

from fastapi import Request
from fastapi.dependencies.utils import get_flat_dependant
from fastapi.routing import APIRoute

from api.errors.problems import FieldProblem, Problem


async def known_parameters_only(request: Request) -> None:
    """Refuse a query parameter that the route does not have.

    Raises:
        Problem: 422, naming it and the one that was probably meant.
    """
    if not request.query_params:
        return
    route = request.scope["route"]
    assert isinstance(route, APIRoute)
    known = {field.alias for field in get_flat_dependant(route.dependant).query_params}
    for name in request.query_params:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            meant = f"; did you mean {close[0]!r}?" if close else ""
            detail = f"there is no query parameter {name!r}{meant}"
            error = FieldProblem(detail=detail, parameter=name)
            raise Problem(422, "invalid_request", detail, errors=[error])
