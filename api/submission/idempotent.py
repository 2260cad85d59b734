"""Idempotent job creation: a job is created once, however often its request arrives."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Header, Response
from sqlalchemy.orm import Session

from api.schemas.jobs import JobView
from api.schemas.sweeps import SweepView
from store import idempotency
from store.database.database import Database

CREATED = {201: {"headers": {"Location": {"schema": {"type": "string"}}}}}
"""The `responses` of a route that creates a job."""

Checked = TypeVar("Checked")

MAX_KEY = 255  # characters of an Idempotency-Key
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=MAX_KEY,
        description="Requests with the same key and body create one job, for 48 hours.",
    ),
]


@dataclass(frozen=True)
class KeyedRequest:
    """A request and its Idempotency-Key, if it has one."""

    project_id: UUID
    route: str
    key: str | None
    body_hash: str


def once(
    database: Database,
    session: Session,
    check: Callable[[], Checked],
    make: Callable[[Checked], JobView | SweepView],
    *,
    request: KeyedRequest,
    place: str,
) -> Response:
    """Return 201 with the result of `make`, or the first answer if the key was used before.

    The transaction of `session` begins after `check`.

    Raises:
        KeyReused: the key was used with another body.
        KeyBusy: the first request is still in progress after some seconds.
    """
    if request.key is None:
        view = make(check())
        return _created(view.model_dump_json(), f"{place}/{view.id}")
    of_key = (request.project_id, request.route, request.key, request.body_hash)
    with database.autocommit() as reading:
        first = idempotency.replay(reading, *of_key)
    if first is None:
        checked = check()
        first = idempotency.begin(session, *of_key)
        if first is None:
            view = make(checked)
            answer, location = view.model_dump_json(), f"{place}/{view.id}"
            idempotency.finish(session, *of_key, status_code=201, location=location, body=answer)
            return _created(answer, location)
    headers = {"Location": first.location, "Idempotent-Replayed": "true"}
    return _json(first.body, first.status_code, headers)


def _created(answer: str, location: str) -> Response:
    return _json(answer, 201, {"Location": location})


def _json(body: str, status_code: int, headers: dict[str, str]) -> Response:
    return Response(body, status_code, headers=headers, media_type="application/json")
