"""Data files: upload, list, read, preview, download, delete."""

from itertools import islice
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Query, Request, Response

from api.dependencies.auth import Reader, Submitter
from api.dependencies.multipart import Uploaded, invalid_file, multipart, shown_name
from api.dependencies.path_ids import FileId, decoded
from api.dependencies.services import FromServices
from api.dependencies.transaction import RequestSession
from api.downloads.file import DOWNLOADED, Stored, download
from api.errors.responses import problems
from api.schemas.base import Page
from api.schemas.files import FileView, Preview
from api.schemas.paging import Limit, page
from api.submission.data_file import DataFileError, copy_checked
from grpo.data.files import rows_in
from store import files, ids
from store.access import audit
from store.log.payloads import sanitize

router = APIRouter(prefix="/files", tags=["files"])

PREVIEWED_ROWS = 10


@router.post("", status_code=201, responses=problems(400, 413, 415), openapi_extra=multipart())
def upload_file(
    upload: Uploaded, caller: Submitter, services: FromServices, response: Response
) -> FileView:
    """Upload a data file: JSON objects, one a line, or Parquet."""
    file_id = ids.new_id()
    with NamedTemporaryFile(prefix="duet-upload-") as copy:
        try:
            content = copy_checked(upload.file, copy, services.unpacking)
        except DataFileError as error:
            raise invalid_file(error.problems) from None
        copy.flush()
        services.artifacts.put_file(Path(copy.name), files.artifact_key(file_id))
    with services.database.session() as session:
        file = files.create(
            session,
            file_id=file_id,
            project_id=caller.project_id,
            key_id=caller.key_id,
            name=shown_name(upload),
            bytes=content.num_bytes,
            sha256=content.sha256,
            num_rows=content.num_rows,
            fields=content.fields,
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
        Query(description="Only files with this content.", pattern=r"^[0-9a-f]{64}$"),
    ] = None,
    after: Annotated[str | None, Query(description="`next` of the page before.")] = None,
    limit: Limit = 20,
) -> Page[FileView]:
    """Files, the newest first."""
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
    """What is known of a file."""
    return FileView.of(files.get(session, caller.project_id, file_id))


@router.get("/{file}/preview", responses=problems(404))
def preview_file(
    file_id: FileId, caller: Reader, session: RequestSession, services: FromServices
) -> Preview:
    """A file's first rows."""
    file = files.get(session, caller.project_id, file_id)
    with services.artifacts.open(files.artifact_key(file.id)) as content:
        rows = islice(rows_in(content), PREVIEWED_ROWS)
        return Preview(data=[sanitize(row.fields) for row in rows])


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
    """The file as it was uploaded.  Its ETag is its sha256; `Range` is honoured.

    Where it lies on S3 the answer may be 307 and an address there that holds for ten minutes.
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
    """Delete a file; not while a job that has not ended uses it."""
    files.delete(session, caller.project_id, file_id)
    audit.note(session, caller.actor, "file.delete", ids.encode("file", file_id))
    after_commit.add_task(services.artifacts.delete, files.artifact_key(file_id))
