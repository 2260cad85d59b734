"""OpenAI's files API over Duet's data files."""

from typing import Annotated, Literal

from fastapi import APIRouter, BackgroundTasks, Depends, Query, Request, Response

from api.dependencies.auth import Reader, Submitter
from api.dependencies.multipart import Form, Uploaded, multipart
from api.dependencies.path_ids import FileId, decoded
from api.dependencies.query import known_parameters_only
from api.dependencies.services import FromServices
from api.dependencies.transaction import RequestSession
from api.downloads.file import DOWNLOADED
from api.errors.problems import FieldProblem, Problem
from api.openai.responses import errors
from api.openai.schemas import FileDeleted, FileObject, Listed
from api.routes import files as native
from api.schemas.files import FileView
from store import files, ids

router = APIRouter(prefix="/files", tags=["openai"], dependencies=[Depends(known_parameters_only)])

HOUR_SECONDS = 3600
PURPOSES = ("fine-tune", "user_data")


def _purpose(form: Form) -> None:
    """Refuse a purpose other than training.

    Raises:
        Problem: the purpose is not training.
    """
    if form.get("purpose") not in PURPOSES:
        error = FieldProblem(detail=f"must be {' or '.join(PURPOSES)}", pointer="/purpose")
        raise Problem(422, "invalid_purpose", f"purpose {error.detail}", errors=[error])


def _expires_seconds(form: Form) -> int | None:
    """Return when the file expires, if it does.

    Raises:
        Problem: `expires_after` is not valid.
    """
    sent = {name: form.get(f"expires_after[{name}]") for name in ("anchor", "seconds")}
    if sent == {"anchor": None, "seconds": None}:
        return None
    seconds = sent["seconds"]
    if sent["anchor"] != "created_at":
        raise _wrong("anchor", "must be created_at")
    if not isinstance(seconds, str) or not (seconds.isdecimal() and len(seconds) < 10):
        raise _wrong("seconds", "must be a whole number")
    if not HOUR_SECONDS <= int(seconds) <= 30 * 24 * HOUR_SECONDS:
        raise _wrong("seconds", "must be from 3600 (1 hour) to 2592000 (30 days)")
    return int(seconds)


def _wrong(name: str, detail: str) -> Problem:
    error = FieldProblem(detail=detail, pointer=f"/expires_after/{name}")
    sentence = f"expires_after.{name} {detail}"
    return Problem(422, "invalid_request", sentence, errors=[error])


Limit = Annotated[int, Query(ge=1, le=10_000, description="Maximum number of items.")]


@router.post(
    "",
    dependencies=[Depends(_purpose)],
    responses=errors(413, 415, 507),
    openapi_extra=multipart(purpose="`fine-tune` or `user_data`."),
)
def create_openai_file(
    upload: Uploaded,
    caller: Submitter,
    services: FromServices,
    response: Response,
    expires_seconds: Annotated[int | None, Depends(_expires_seconds)],
) -> FileObject:
    """Upload a data file: one JSON object per line. `expires_after` sets when it is deleted, but
    not while a job that has not ended uses it."""
    view = native.take_in(upload, caller, services, response, expires_seconds=expires_seconds)
    return FileObject.of(view)


@router.get("", responses=errors(404))
def list_openai_files(
    caller: Reader,
    session: RequestSession,
    after: Annotated[
        str | None, Query(description="Id of the last item on the previous page.")
    ] = None,
    limit: Limit = 10_000,
    purpose: Annotated[
        str | None, Query(description="All files have the purpose `fine-tune`.")
    ] = None,
    order: Annotated[Literal["asc", "desc"], Query(description="desc: newest first.")] = "desc",
) -> Listed[FileObject]:
    """List files, newest first by default."""
    if purpose not in (None, "fine-tune"):
        return Listed(data=[], has_more=False)
    start = decoded("file", "file", after) if after else None
    found = files.list_files(
        session, caller.project_id, after=start, oldest_first=order == "asc", limit=limit + 1
    )
    items = [FileObject.of(FileView.of(file)) for file in found[:limit]]
    return Listed(data=items, has_more=len(found) > limit)


@router.get("/{file}", responses=errors(404))
def retrieve_openai_file(file_id: FileId, caller: Reader, session: RequestSession) -> FileObject:
    """Retrieve a file."""
    return FileObject.of(native.read_file(file_id, caller, session))


@router.get("/{file}/content", response_class=Response, responses=DOWNLOADED | errors(404, 416))
def download_openai_file(
    file_id: FileId,
    caller: Reader,
    session: RequestSession,
    services: FromServices,
    request: Request,
) -> Response:
    """Download a file as it was uploaded."""
    return native.download_file(file_id, caller, session, services, request)


@router.delete("/{file}", responses=errors(404, 409))
def delete_openai_file(
    file_id: FileId,
    caller: Submitter,
    session: RequestSession,
    services: FromServices,
    after_commit: BackgroundTasks,
) -> FileDeleted:
    """Delete a file; not possible while a job that has not ended uses it."""
    native.delete_file(file_id, caller, session, services, after_commit)
    return FileDeleted(id=ids.encode("file", file_id))
