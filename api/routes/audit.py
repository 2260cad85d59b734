"""The audit log of a project."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.dependencies.auth import Admin
from api.dependencies.path_ids import decoded
from api.dependencies.transaction import RequestSession
from api.errors.responses import problems
from api.schemas.audit import AuditView
from api.schemas.base import Page
from api.schemas.paging import NO_NUL, Limit, page
from store import ids
from store.access import audit
from store.access.audit import Action

router = APIRouter(prefix="/audit", tags=["keys"])


@router.get("", responses=problems(404))
def list_audit_records(
    *,
    caller: Admin,
    session: RequestSession,
    request: Request,
    response: Response,
    action: Annotated[Action | None, Query(description="Action, such as `job.submit`.")] = None,
    by: Annotated[str | None, Query(description="Id of the key that made the change.")] = None,
    object: Annotated[
        str | None, Query(description="Id of the changed object.", max_length=100, pattern=NO_NUL)
    ] = None,
    after: Annotated[str | None, Query(description="`next` of the previous page.")] = None,
    limit: Limit = 20,
) -> Page[AuditView]:
    """List the changes made with this project's keys, newest first; kept for a year unless the
    server is configured otherwise."""
    found = audit.list_records(
        session,
        caller.actor.project_id,
        action=action,
        key_id=decoded("key", "key", by) if by else None,
        object=object,
        after=decoded("aud", "page", after) if after else None,
        limit=limit + 1,
    )
    return page(
        request,
        response,
        found,
        limit,
        view=AuditView.of,
        cursor=lambda row: ids.encode("aud", row.id),
    )
