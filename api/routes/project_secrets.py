"""Secrets that only the project's jobs use."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import TypeAdapter

from api.dependencies.auth import Admin
from api.dependencies.body import as_kind, request_of
from api.dependencies.services import FromServices
from api.dependencies.transaction import RequestSession
from api.errors.responses import problems
from api.schemas.base import Page
from api.schemas.project_secrets import NewSecret, SecretView
from grpo.values.field_errors import matching
from store.access import audit, project_secrets

router = APIRouter(prefix="/secrets", tags=["secrets"])

Name = Annotated[
    str,
    Path(
        pattern=matching(
            r"^[A-Z][A-Z0-9_]{0,63}$",
            "must be 1 to 64 capital letters, digits and underscores, and begin with a letter",
        ),
        description="Capital letters, digits and underscores, such as `HF_TOKEN`.",
    ),
]
Body = Annotated[NewSecret, Depends(as_kind(TypeAdapter(NewSecret)))]


@router.get("", responses=problems())
def list_secrets(caller: Admin, session: RequestSession) -> Page[SecretView]:
    """List the names and dates of all the project's secrets. Values are never shown."""
    found = project_secrets.list_secrets(session, caller.project_id)
    return Page(data=[SecretView.of(secret) for secret in found])


@router.put("/{name}", responses=problems(400, 409, 413), openapi_extra=request_of("NewSecret"))
def set_secret(
    name: Name, new: Body, caller: Admin, session: RequestSession, services: FromServices
) -> SecretView:
    """Set a secret, or replace its value.

    It is stored encrypted. A trainer that starts from now on has the project's `HF_TOKEN`, to fetch
    private and gated models and data sets of the Hugging Face hub.
    """
    secret = project_secrets.put(
        session, services.cipher, caller.project_id, name, new.value, host=new.host
    )
    audit.note(session, caller.actor, "secret.set", name)
    return SecretView.of(secret)


@router.delete("/{name}", status_code=204, responses=problems(404))
def delete_secret(name: Name, caller: Admin, session: RequestSession) -> None:
    """Delete a secret. Trainers that run keep it until they end."""
    project_secrets.delete(session, caller.project_id, name)
    audit.note(session, caller.actor, "secret.delete", name)
