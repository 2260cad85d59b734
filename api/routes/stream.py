"""A job's log as it grows, as server-sent events."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

import anyio
import structlog
from fastapi import APIRouter, Depends, Header, Query
from sqlalchemy.exc import OperationalError
from sse_starlette import EventSourceResponse, ServerSentEvent

from api.addresses import JobId
from api.answers import problems
from api.auth import Reader
from api.services import FromServices, Services
from api.views.log import RecordView
from store import jobs, log

router = APIRouter(prefix="/jobs/{job}/stream", tags=["log"])

PAGE = 500
LOOK_SECONDS = 15.0  # even without news: a notification may be lost with its connection
SEND_SECONDS = 30.0

logger = structlog.get_logger()


@dataclass(frozen=True)
class Followed:
    """A job that the caller may read."""

    job_id: UUID
    project_id: UUID


def _followed(job_id: JobId, caller: Reader, services: FromServices) -> Followed:
    """Looked up in a transaction that ends before the stream begins."""
    with services.database.session() as session:
        jobs.get(session, caller.project_id, job_id)
    return Followed(job_id, caller.project_id)


@router.get(
    "",
    response_class=EventSourceResponse,
    responses={
        200: {
            "description": "Events `record` (id: its seq, data: the record), and `end` "
            "(data: the job's status) after the last one of a job that has ended.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **problems(404),
    },
)
async def stream_records(
    followed: Annotated[Followed, Depends(_followed)],
    services: FromServices,
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="As Last-Event-ID.")] = 0,
    last_event_id: Annotated[
        int | None, Header(ge=0, le=2**63 - 1, description="The seq to continue after.")
    ] = None,
) -> EventSourceResponse:
    """Every record from the first (or after Last-Event-ID) on, superseded ones included."""
    start = after if last_event_id is None else last_event_id
    return EventSourceResponse(
        _events(services, followed, start), ping=services.ping_seconds, send_timeout=SEND_SECONDS
    )


async def _events(
    services: Services, followed: Followed, after: int
) -> AsyncIterator[ServerSentEvent]:
    """Following begins before the first look, so nothing falls between the two."""
    with services.feed.following(followed.job_id) as grown:
        while True:
            grown.clear()
            try:
                views, ended = await anyio.to_thread.run_sync(_look, services, followed, after)
            except OperationalError:
                logger.warning("stream_interrupted", job_id=str(followed.job_id))
                return  # the client comes back with its Last-Event-ID
            for view in views:
                after = view.seq
                yield ServerSentEvent(_as_line(view), event="record", id=str(view.seq))
            if len(views) == PAGE:
                continue
            if ended is not None:
                yield ServerSentEvent(f'{{"status":"{ended}"}}', event="end")
                return
            with anyio.move_on_after(LOOK_SECONDS):
                await grown.wait()


def _as_line(view: RecordView) -> str:
    """In ASCII: many clients take U+2028 and its like for the end of a line."""
    return json.dumps(view.model_dump(mode="json"))


def _look(
    services: Services, followed: Followed, after: int
) -> tuple[list[RecordView], str | None]:
    """The next records, and the status of a job that has ended.

    The status is read first: what ended the job stands in the log by then.
    """
    with services.database.session() as session:
        status = jobs.get(session, followed.project_id, followed.job_id).status
        records = log.read(
            session, followed.job_id, kinds=None, after=after, limit=PAGE, superseded=True
        )
        views = [RecordView.of(record) for record in records]
    return views, status if status.terminal else None
