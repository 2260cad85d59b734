"""A job's log as server-sent events."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Annotated
from uuid import UUID

import structlog
from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import StreamingResponse
from sqlalchemy.exc import OperationalError

from api.dependencies.auth import Reader
from api.dependencies.path_ids import JobId
from api.dependencies.services import FromServices, Services
from api.errors.responses import problems
from api.schemas.log import RecordView
from api.streaming.feed import Look
from api.streaming.sse import EventStream, event
from store.database.database import Database
from store.jobs import jobs
from store.log import log

router = APIRouter(prefix="/jobs/{job}/stream", tags=["log"])

PAGE = 500
CHUNK_BYTES = 32 * 1024

logger = structlog.get_logger()


def _followed(job_id: JobId, caller: Reader, services: FromServices) -> UUID:
    """A job that the caller may read, loaded in a transaction that ends before the stream
    begins."""
    with services.database.autocommit() as session:
        return jobs.get(session, caller.project_id, job_id).id


@router.get(
    "",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": (
                "Events `record` (id: its seq, data: the record), and `end` (data: the "
                "job's status) after the last record of an ended job."
            ),
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **problems(404),
    },
)
async def stream_records(
    job_id: Annotated[UUID, Depends(_followed)],
    caller: Reader,
    services: FromServices,
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="Same as Last-Event-ID.")] = 0,
    last_event_id: Annotated[
        int | None, Header(ge=0, le=2**63 - 1, description="The seq to continue after.")
    ] = None,
) -> EventStream:
    """Stream every record from the first (or after Last-Event-ID) on, including superseded ones.

    The stream is aborted without `end` soon after its key is revoked or expires.
    """
    start = after if last_event_id is None else last_event_id
    return EventStream(_events(services, caller.key_id, job_id, start), services.slow_readers)


async def _events(
    services: Services, key_id: UUID, job_id: UUID, after: int
) -> AsyncIterator[bytes]:
    """Stream the records. Following begins before the first read, so that no record falls in
    between."""
    keys = services.stream_keys
    with keys.used(key_id), services.feed.following(job_id) as follower:
        while True:
            try:
                look = await follower.look(after)
            except OperationalError:
                logger.warning("stream_interrupted", job_id=str(job_id))
                return  # the client reconnects with its Last-Event-ID
            if keys.has_ended(key_id):
                return  # the error that the client gets when it reconnects
            for chunk in look.chunks:
                yield chunk
            if look.ended:
                return
            after = look.last


def read_log(database: Database, job_id: UUID, after: int) -> Look:
    """The next records and the job's status. The status is read first, so that an ended job's last
    record is in the log by then."""
    with database.autocommit() as session:
        status = jobs.status(session, job_id)
        records = log.read(session, job_id, after=after, limit=PAGE, superseded=True)
        events = [_as_event(RecordView.of(record)) for record in records]
    more = len(records) == PAGE
    if status is not None and status.terminal and not more:
        events.append(event(f'{{"status":"{status}"}}', "end"))
    return Look(
        chunks=list(_joined(events)),
        last=records[-1].seq if records else after,
        more=more,
        ended=status is None or (status.terminal and not more),
    )


def _as_event(view: RecordView) -> bytes:
    return event(json.dumps(view.model_dump(mode="json")), "record", id=view.seq)


def _joined(events: Sequence[bytes]) -> Iterator[bytes]:
    """Join small events into chunks: each chunk costs every stream a turn of the event loop."""
    chunk = b""
    for each in events:
        if chunk and len(chunk) + len(each) > CHUNK_BYTES:
            yield chunk
            chunk = b""
        chunk += each
    if chunk:
        yield chunk
