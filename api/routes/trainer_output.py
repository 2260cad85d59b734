"""The trainer's output of an attempt."""

from collections.abc import Iterator
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse, Response, StreamingResponse

from api.dependencies.auth import Reader
from api.dependencies.path_ids import JobId
from api.dependencies.services import FromServices
from api.dependencies.transaction import RequestSession
from api.errors.responses import problems
from store import ids
from store.errors import ArtifactMissing, NotFound
from store.jobs import jobs

router = APIRouter(prefix="/jobs/{job}/logs", tags=["log"])

BLOCK_BYTES = 64 * 1024


@router.get("", response_class=PlainTextResponse, responses=problems(404))
def read_output(
    job_id: JobId,
    caller: Reader,
    session: RequestSession,
    services: FromServices,
    attempt: Annotated[
        int | None, Query(ge=1, le=2**31 - 1, description="Default: the last attempt.")
    ] = None,
    tail: Annotated[int | None, Query(ge=1, le=100_000, description="Only the last lines.")] = None,
) -> Response:
    """Return the trainer's output as text; it grows while the attempt runs."""
    job = jobs.get(session, caller.project_id, job_id)
    number = job.attempt if attempt is None else attempt
    if number > job.attempt:
        raise NotFound("attempt", number)
    key = f"jobs/{ids.encode('job', job.id)}/attempt-{number}/log.txt"
    try:
        # The worker replaces the file as it grows: an open file keeps its content.
        file = services.artifacts.open(key)
    except ArtifactMissing:  # no output yet, or not copied yet
        return PlainTextResponse("")
    if tail is not None:
        with file:
            return PlainTextResponse(_last_lines(file, tail))
    return StreamingResponse(_blocks(file), media_type="text/plain; charset=utf-8")


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while block := file.read(BLOCK_BYTES):
            yield block


def _last_lines(file: BinaryIO, num_lines: int) -> bytes:
    """The last lines, read from the end block by block, so that a long log costs no more than its
    tail."""
    tail = b""
    start = file.seek(0, 2)
    while start > 0 and tail.count(b"\n") <= num_lines:
        end, start = start, max(start - BLOCK_BYTES, 0)
        file.seek(start)
        tail = file.read(end - start) + tail
    return b"".join(tail.splitlines(keepends=True)[-num_lines:])
