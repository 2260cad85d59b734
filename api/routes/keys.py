"""API keys and projects."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import TypeAdapter

from api.dependencies.auth import Admin, Operator
from api.dependencies.body import as_kind, request_of
from api.dependencies.path_ids import KeyId, ProjectId, decoded
from api.dependencies.transaction import RequestSession
from api.errors.responses import problems
from api.schemas.access import (
    KeyView,
    KeyWithSecret,
    NewKey,
    NewProject,
    ProjectQuota,
    ProjectView,
    ProjectWithKey,
)
from api.schemas.base import Page
from api.schemas.paging import Limit, page
from store import ids
from store.access import audit, keys, projects
from store.errors import Conflict

router = APIRouter(tags=["keys"])

KeyBody = Annotated[NewKey, Depends(as_kind(TypeAdapter(NewKey)))]
ProjectBody = Annotated[NewProject, Depends(as_kind(TypeAdapter(NewProject)))]
QuotaBody = Annotated[ProjectQuota, Depends(as_kind(TypeAdapter(ProjectQuota)))]
DAY_SECONDS = 86_400
MOST_OVERLAP_SECONDS = 7 * DAY_SECONDS
After = Annotated[str | None, Query(description="`next` of the previous page.")]


@router.post(
    "/keys", status_code=201, responses=problems(400, 413), openapi_extra=request_of("NewKey")
)
def create_key(
    new: KeyBody, caller: Admin, session: RequestSession, response: Response
) -> KeyWithSecret:
    """Create a key of this project, with no scope that the calling key lacks. The key is shown only
    once."""
    keys.check_grant({*new.scopes}, by=caller.scopes)
    project = projects.get(session, caller.project_id)
    view = KeyWithSecret.made(*keys.create_key(session, project, new.name, new.scopes))
    audit.note(session, caller.actor, "key.create", view.id)
    response.headers["Location"] = f"/v1/keys/{view.id}"
    return view


@router.get("/keys", responses=problems(404))
def list_keys(
    *,
    caller: Admin,
    session: RequestSession,
    request: Request,
    response: Response,
    after: After = None,
    limit: Limit = 20,
) -> Page[KeyView]:
    """List this project's keys, newest first, including revoked ones."""
    start = decoded("key", "page", after) if after else None
    found = keys.list_keys(session, caller.project_id, after=start, limit=limit + 1)
    return page(
        request,
        response,
        found,
        limit,
        view=KeyView.of,
        cursor=lambda row: ids.encode("key", row.id),
    )


@router.post("/keys/{key}/rotate", status_code=201, responses=problems(404, 409))
def rotate_key(
    key_id: KeyId,
    caller: Admin,
    session: RequestSession,
    response: Response,
    overlap_seconds: Annotated[
        int, Query(ge=0, le=MOST_OVERLAP_SECONDS, description="How long the old key stays valid.")
    ] = DAY_SECONDS,
) -> KeyWithSecret:
    """Rotate a key: create a successor of the same name and scopes. The key is shown only once.

    The old key and the browser sessions opened with it stay valid for a day, or for
    `overlap_seconds`. Its `last_used_at` shows whether it is still in use.
    """
    rotated = keys.rotate(
        session, caller.project_id, key_id, overlap_seconds=overlap_seconds, by=caller.scopes
    )
    view = KeyWithSecret.made(*rotated)
    audit.note(session, caller.actor, "key.rotate", ids.encode("key", key_id))
    response.headers["Location"] = f"/v1/keys/{view.id}"
    return view


@router.delete("/keys/{key}", status_code=204, responses=problems(404, 409))
def revoke_key(key_id: KeyId, caller: Admin, session: RequestSession) -> None:
    """Revoke a key, effective immediately. Its name stays on the objects that it made."""
    if key_id == caller.key_id:
        raise Conflict("a key cannot revoke itself: use another admin key of this project")
    keys.revoke(session, caller.project_id, key_id, by=caller.scopes)
    audit.note(session, caller.actor, "key.revoke", ids.encode("key", key_id))


@router.post(
    "/projects",
    status_code=201,
    responses=problems(400, 409, 413),
    openapi_extra=request_of("NewProject"),
)
def create_project(new: ProjectBody, caller: Operator, session: RequestSession) -> ProjectWithKey:
    """Create a project with its first key, which is shown only once and has no scope that the
    calling key lacks."""
    keys.check_grant({*new.scopes}, by=caller.scopes)
    project = projects.create(session, new.name, _quota(new))
    key = keys.create_key(session, project, new.key_name, new.scopes)
    shown_id = ids.encode("proj", project.id)
    audit.note(session, caller.actor, "project.create", shown_id, of_project=project.id)
    return ProjectWithKey(project=ProjectView.of(project), key=KeyWithSecret.made(*key))


@router.get("/projects", responses=problems(404))
def list_projects(
    *,
    caller: Operator,  # noqa: ARG001 - authorizes the call
    session: RequestSession,
    request: Request,
    response: Response,
    after: After = None,
    limit: Limit = 20,
) -> Page[ProjectView]:
    """List every project of this server, newest first."""
    start = decoded("proj", "page", after) if after else None
    found = projects.list_projects(session, after=start, limit=limit + 1)
    return page(
        request,
        response,
        found,
        limit,
        view=ProjectView.of,
        cursor=lambda row: ids.encode("proj", row.id),
    )


@router.put(
    "/projects/{project}/quota",
    responses=problems(400, 404, 413),
    openapi_extra=request_of("ProjectQuota"),
)
def set_quota(
    project_id: ProjectId,
    quota: QuotaBody,
    caller: Operator,
    session: RequestSession,
) -> ProjectView:
    """Set all of a project's limits and its share of the workers: an omitted limit is
    removed, an omitted weight becomes 1. Jobs already beyond a limit stay."""
    project = projects.change_quota(session, project_id, _quota(quota))
    shown_id = ids.encode("proj", project_id)
    audit.note(session, caller.actor, "project.set_quota", shown_id, of_project=project_id)
    return ProjectView.of(project)


def _quota(wanted: ProjectQuota) -> projects.Quota:
    return projects.Quota(wanted.max_running, wanted.max_queued, wanted.weight)
