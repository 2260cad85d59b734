"""Idempotent job creation: a job is created once, however often its request arrives."""

from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from fastapi import Header, Response
from sqlalchemy.orm import Session

from api.schemas.jobs import JobView
from api.schemas.sweeps import SweepView
from store import idempotency

CREATED = {201: {"headers": {"Location": {"schema": {"type": "string"}}}}}
"""The `responses` of a route that creates a job."""

MAX_KEY = 255  # characters of an Idempotency-Key
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=MAX_KEY,
        description="Requests with the same key and body create one job, for 48 hours.",
    ),
]


def once(
    session: Session,
    make: Callable[[], JobView | SweepView],
    *,
    project_id: UUID,
    route: str,
    key: IdempotencyKey,
    body_hash: str,
    place: str = "/v1/jobs",
) -> Response:
    """Return 201 with the result of `make`, or the first answer if the key was used before.

    Raises:
        KeyReused: the key was used with another body.
        KeyBusy: the first request is still in progress after some seconds.
    """
    if key is not None:
        first = idempotency.begin(session, project_id, route, key, body_hash)
        if first is not None:
            headers = {"Location": first.location, "Idempotent-Replayed": "true"}
            return _json(first.body, first.status_code, headers)
    view = make()
    answer, location = view.model_dump_json(), f"{place}/{view.id}"
    if key is not None:
        idempotency.finish(
            session,
            project_id,
            route,
            key,
            body_hash,
            status_code=201,
            location=location,
            body=answer,
        )
    return _json(answer, 201, {"Location": location})


def _json(body: str, status_code: int, headers: dict[str, str]) -> Response:
    return Response(body, status_code, headers=headers, media_type="application/json")
