"""Validation of query parameters: a misspelled one is an error, not a filter without effect."""

from difflib import get_close_matches

from fastapi import Request
from fastapi.dependencies.utils import get_flat_dependant
from fastapi.routing import APIRoute

from api.errors.problems import FieldProblem, Problem
from grpo.values.strict_json import NOT_KEPT, UNSTORABLE
from store.log.payloads import clean_text

MAX_PARAMETERS = 100
MAX_NAME = 64  # of an unknown parameter, in the error and its suggestion
MAX_LENGTH = 20_000


async def storable_parameters(request: Request) -> None:
    """Refuse query parameters that cannot be stored, on every route.

    Raises:
        Problem: 422, names the parameter.
    """
    parameters = request.query_params.multi_items()
    if len(parameters) > MAX_PARAMETERS:
        detail = f"more than {MAX_PARAMETERS} query parameters were sent"
        raise Problem(422, "invalid_request", detail, errors=[FieldProblem(detail=detail)])
    for name, value in parameters:
        if UNSTORABLE.search(name) or UNSTORABLE.search(value):
            detail = NOT_KEPT
        elif len(name) + len(value) > MAX_LENGTH:
            detail = f"must not be longer than {MAX_LENGTH:,} characters"
        else:
            continue
        shown = clean_text(name[:100])
        error = FieldProblem(detail=detail, parameter=shown)
        raise Problem(422, "invalid_request", f"{shown}: {detail}", errors=[error])


async def known_parameters_only(request: Request) -> None:
    """Refuse a query parameter that the route does not have.

    Raises:
        Problem: 422, names the parameter and the closest known one.
    """
    if not request.query_params:
        return
    route = request.scope["route"]
    assert isinstance(route, APIRoute)
    known = {field.alias for field in get_flat_dependant(route.dependant).query_params}
    for name in request.query_params:
        if name not in known:
            name = name[:MAX_NAME]
            close = get_close_matches(name, known, n=1)
            meant = f"; did you mean {close[0]!r}?" if close else ""
            detail = f"unknown query parameter {name!r}{meant}"
            error = FieldProblem(detail=detail, parameter=name)
            raise Problem(422, "invalid_request", detail, errors=[error])
