"""Checkpoints: a job's list, one with its files, and the files themselves."""

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Path, Query, Request, Response

from api.dependencies.auth import Reader, Submitter
from api.dependencies.path_ids import CheckpointId, JobId
from api.dependencies.services import FromServices
from api.dependencies.transaction import RequestSession
from api.downloads.file import DOWNLOADED, Stored, download
from api.downloads.tar import tar_of
from api.errors.responses import problems
from api.schemas.base import Page
from api.schemas.checkpoints import CheckpointManifest, CheckpointView
from api.schemas.paging import Limit, page
from grpo.values.field_errors import matching
from store import ids
from store.access import audit
from store.errors import NotFound
from store.jobs import checkpoint_retention, checkpoints, jobs

CURSOR = matching(r"^\d{1,9}\.\d{1,9}$", "must be `next` of the previous page")
router = APIRouter(tags=["checkpoints"])


@router.get("/jobs/{job}/checkpoints", responses=problems(404))
def list_checkpoints(
    *,
    job_id: JobId,
    caller: Reader,
    session: RequestSession,
    request: Request,
    response: Response,
    after: Annotated[
        str, Query(pattern=CURSOR, description="`next` of the previous page.")
    ] = "0.0",
    limit: Limit = 20,
) -> Page[CheckpointView]:
    """List a job's checkpoints, oldest first."""
    job = jobs.get(session, caller.project_id, job_id)
    attempt, step = map(int, after.split("."))
    listed = checkpoints.list_checkpoints(session, job.id)
    found = [item for item in listed if (item.attempt, item.step) > (attempt, step)]
    return page(
        request,
        response,
        found,
        limit,
        view=CheckpointView.of,
        cursor=lambda row: f"{row.attempt}.{row.step}",
    )


@router.get("/checkpoints/{checkpoint}", responses=problems(404))
def read_checkpoint(
    checkpoint_id: CheckpointId, caller: Reader, session: RequestSession
) -> CheckpointManifest:
    """Return a checkpoint with its files and their hashes."""
    return CheckpointManifest.of(checkpoints.get(session, caller.project_id, checkpoint_id))


@router.delete("/checkpoints/{checkpoint}", status_code=204, responses=problems(404, 409))
def delete_checkpoint(
    checkpoint_id: CheckpointId,
    caller: Submitter,
    session: RequestSession,
    services: FromServices,
    after_commit: BackgroundTasks,
) -> None:
    """Delete a checkpoint with its files.

    Not possible for the checkpoint that its own unfinished job resumes from, nor for one that
    another job needs: an unfinished job that starts from it, or one that trained an adapter on it.
    """
    key = checkpoint_retention.delete_one(session, caller.project_id, checkpoint_id)
    audit.note(session, caller.actor, "checkpoint.delete", ids.encode("ckpt", checkpoint_id))
    after_commit.add_task(services.artifacts.delete, key)


@router.head("/checkpoints/{checkpoint}/files/{path:path}", include_in_schema=False)
@router.get(
    "/checkpoints/{checkpoint}/files/{path:path}",
    response_class=Response,
    responses=DOWNLOADED | problems(400, 404, 416),
)
def download_checkpoint_file(
    checkpoint_id: CheckpointId,
    path: Annotated[str, Path(description="Path as in the checkpoint's `files`.")],
    caller: Reader,
    session: RequestSession,
    services: FromServices,
    request: Request,
) -> Response:
    """Download one file. Its ETag is its sha256; `Range` is supported.

    For a file on S3 the answer may be a 307 to an address there, valid for ten minutes.
    """
    checkpoint = checkpoints.get(session, caller.project_id, checkpoint_id)
    listed = {file["path"]: file["sha256"] for file in checkpoint.manifest["files"]}
    if path not in listed:
        raise NotFound("file of this checkpoint named", repr(path))
    name = path.rpartition("/")[2]
    stored = Stored(f"{checkpoint.key}/{path}", name=name, sha256=listed[path])
    return download(request, services, stored)


@router.get(
    "/checkpoints/{checkpoint}/archive.tar", response_class=Response, responses=problems(404)
)
def download_checkpoint(
    checkpoint_id: CheckpointId, caller: Reader, session: RequestSession, services: FromServices
) -> Response:
    """Download all files as one tar archive, in a folder named after the checkpoint."""
    checkpoint = checkpoints.get(session, caller.project_id, checkpoint_id)
    return tar_of(
        services.artifacts,
        checkpoint.key,
        checkpoint.manifest["files"],
        folder=ids.encode("ckpt", checkpoint.id),
        written_at=checkpoint.created_at,
    )
