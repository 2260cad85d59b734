"""Data files: upload, list, read, preview, download, delete."""

from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Query, Request, Response
from starlette.datastructures import UploadFile

from api.dependencies.auth import Caller, Reader, Submitter
from api.dependencies.multipart import Uploaded, invalid_file, multipart, shown_name
from api.dependencies.path_ids import FileId, decoded
from api.dependencies.services import FromServices, Services
from api.dependencies.transaction import RequestSession
from api.downloads.file import DOWNLOADED, Stored, download
from api.errors.responses import problems
from api.errors.storage import storing
from api.schemas.base import Page
from api.schemas.files import FileView, Preview
from api.schemas.paging import Limit, page
from api.submission.data_facts import being_checked
from api.submission.data_file import copy_hashed, inspected_soon
from grpo.values.field_errors import matching
from store import files, ids
from store.access import audit
from store.log.payloads import sanitize

SHA256 = matching(r"^[0-9a-f]{64}$", "must be a SHA-256 of 64 hexadecimal digits")
router = APIRouter(prefix="/files", tags=["files"])

PREVIEWED_ROWS = 10


@router.post("", status_code=201, responses=problems(400, 413, 415, 507), openapi_extra=multipart())
def upload_file(
    upload: Uploaded, caller: Submitter, services: FromServices, response: Response
) -> FileView:
    """Upload a data file: JSONL or CSV (optionally compressed with gzip or zstd), or Parquet.

    A small file is checked before the answer: `status` is `ready`. A large file is `processing`
    until it has been checked in the background, and then `ready` or `failed`.
    """
    return take_in(upload, caller, services, response)


def take_in(
    upload: UploadFile,
    caller: Caller,
    services: Services,
    response: Response,
    *,
    expires_seconds: int | None = None,
) -> FileView:
    """Store and list an upload."""
    file_id = ids.new_id()
    with NamedTemporaryFile(prefix="duet-upload-") as copy:
        with storing("/file"):
            num_bytes, sha256 = copy_hashed(upload.file, copy)
        inspection = inspected_soon(Path(copy.name), num_bytes, services.inspections)
        if inspection is not None and inspection.problems:
            raise invalid_file(inspection.problems)
        with storing("/file"):
            services.artifacts.put_file(Path(copy.name), files.artifact_key(file_id))
    with services.database.session() as session:
        file = files.create(
            session,
            file_id=file_id,
            project_id=caller.project_id,
            key_id=caller.key_id,
            name=shown_name(upload),
            bytes=num_bytes,
            sha256=sha256,
            inspection=inspection,
            expires_seconds=expires_seconds,
        )
        audit.note(session, caller.actor, "file.upload", ids.encode("file", file_id))
    view = FileView.of(file)
    response.headers["Location"] = f"/v1/files/{view.id}"
    return view


@router.get("", responses=problems(404))
def list_files(
    *,
    caller: Reader,
    session: RequestSession,
    request: Request,
    response: Response,
    sha256: Annotated[
        str | None,
        Query(description="Only files with this content.", pattern=SHA256),
    ] = None,
    after: Annotated[str | None, Query(description="`next` of the previous page.")] = None,
    limit: Limit = 20,
) -> Page[FileView]:
    """List files, newest first."""
    start = decoded("file", "page", after) if after else None
    found = files.list_files(
        session, caller.project_id, sha256=sha256, after=start, limit=limit + 1
    )
    return page(
        request,
        response,
        found,
        limit,
        view=FileView.of,
        cursor=lambda row: ids.encode("file", row.id),
    )


@router.get("/{file}", responses=problems(404))
def read_file(file_id: FileId, caller: Reader, session: RequestSession) -> FileView:
    """Return a file's details."""
    return FileView.of(files.get(session, caller.project_id, file_id))


@router.get("/{file}/preview", responses=problems(404, 409))
def preview_file(file_id: FileId, caller: Reader, session: RequestSession) -> Preview:
    """Return a file's first rows, without very large ones."""
    file = files.get(session, caller.project_id, file_id)
    if file.status == "processing":
        raise being_checked(ids.encode("file", file_id))
    rows = files.first_rows(session, caller.project_id, file_id)
    return Preview(data=[sanitize(row.fields) for row in rows[:PREVIEWED_ROWS]])


@router.head("/{file}/content", include_in_schema=False)
@router.get(
    "/{file}/content", response_class=Response, responses=DOWNLOADED | problems(400, 404, 416)
)
def download_file(
    file_id: FileId,
    caller: Reader,
    session: RequestSession,
    services: FromServices,
    request: Request,
) -> Response:
    """Download the file as it was uploaded. Its ETag is its sha256; `Range` is supported.

    For a file on S3 the answer may be a 307 to an address there, valid for ten minutes.
    """
    file = files.get(session, caller.project_id, file_id)
    stored = Stored(files.artifact_key(file.id), name=file.name, sha256=file.sha256)
    return download(request, services, stored)


@router.delete("/{file}", status_code=204, responses=problems(404, 409))
def delete_file(
    file_id: FileId,
    caller: Submitter,
    session: RequestSession,
    services: FromServices,
    after_commit: BackgroundTasks,
) -> None:
    """Delete a file; not possible while a job that has not ended uses it."""
    files.delete(session, caller.project_id, file_id)
    audit.note(session, caller.actor, "file.delete", ids.encode("file", file_id))
    after_commit.add_task(services.artifacts.delete, files.artifact_key(file_id))
