"""A job's log as it grows, as server-sent events."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Annotated
from uuid import UUID

import structlog
from fastapi import APIRouter, Depends, Header, Query
from sqlalchemy.exc import OperationalError
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from api.addresses import JobId
from api.answers import problems
from api.auth import Reader
from api.feed import Feed, Look
from api.services import FromServices
from api.views.log import RecordView
from store import jobs, log
from store.database import Database

router = APIRouter(prefix="/jobs/{job}/stream", tags=["log"])

PAGE = 500
CHUNK_BYTES = 32 * 1024

logger = structlog.get_logger()


def _followed(job_id: JobId, caller: Reader, services: FromServices) -> UUID:
    """A job that the caller may read, looked up in a session that ends before the stream begins."""
    with services.database.autocommit() as session:
        return jobs.get(session, caller.project_id, job_id).id


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
    job_id: Annotated[UUID, Depends(_followed)],
    services: FromServices,
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="As Last-Event-ID.")] = 0,
    last_event_id: Annotated[
        int | None, Header(ge=0, le=2**63 - 1, description="The seq to continue after.")
    ] = None,
) -> EventSourceResponse:
    """Every record from the first (or after Last-Event-ID) on, superseded ones included."""
    start = after if last_event_id is None else last_event_id
    return _Stream(
        _events(services.feed, job_id, start),
        ping=services.ping_seconds,
        send_timeout=services.send_seconds,
    )


class _Stream(EventSourceResponse):
    """Who does not take what is sent within `send_timeout` is dropped; nothing is kept for them,
    and what they have missed they get by their Last-Event-ID."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            logger.warning("slow_reader_dropped", path=scope["path"])


async def _events(feed: Feed, job_id: UUID, after: int) -> AsyncIterator[bytes]:
    """Following begins before the first look, so nothing falls between the two."""
    with feed.following(job_id) as follower:
        while True:
            try:
                look = await follower.look(after)
            except OperationalError:
                logger.warning("stream_interrupted", job_id=str(job_id))
                return  # the client comes back with its Last-Event-ID
            for chunk in look.chunks:
                yield chunk
            after = look.last
            if look.more:
                continue
            if look.status is None:
                return
            if look.status.terminal:
                yield _event(f'{{"status":"{look.status}"}}', "end")
                return
            await follower.grown.wait()


def read_log(database: Database, job_id: UUID, after: int) -> Look:
    """The next records, and the job's status, which is read first: what ended the job stands in
    the log by then."""
    with database.autocommit() as session:
        status = jobs.status(session, job_id)
        records = log.read(session, job_id, after=after, limit=PAGE, superseded=True)
        events = [_as_event(RecordView.of(record)) for record in records]
    return Look(
        chunks=list(_joined(events)),
        last=records[-1].seq if records else after,
        more=len(records) == PAGE,
        status=status,
    )


def _as_event(view: RecordView) -> bytes:
    """In ASCII: many clients take U+2028 and its like for the end of a line."""
    return _event(json.dumps(view.model_dump(mode="json")), "record", id=str(view.seq))


def _event(data: str, name: str, *, id: str | None = None) -> bytes:
    return ServerSentEvent(data, event=name, id=id).encode()


def _joined(events: Sequence[bytes]) -> Iterator[bytes]:
    """Small events together: each chunk costs every stream a turn of its own."""
    chunk = b""
    for event in events:
        if chunk and len(chunk) + len(event) > CHUNK_BYTES:
            yield chunk
            chunk = b""
        chunk += event
    if chunk:
        yield chunk
