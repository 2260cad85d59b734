"""OpenAI's models API: the built-in models, and the project's checkpoints."""

from typing import Annotated, Literal, Self

from fastapi import APIRouter, BackgroundTasks, Depends, Path

from api.dependencies.auth import Reader, Submitter
from api.dependencies.path_ids import decoded
from api.dependencies.query import known_parameters_only
from api.dependencies.services import FromServices
from api.dependencies.transaction import RequestSession
from api.openai.responses import errors
from api.routes import checkpoints as native
from api.schemas.base import View
from grpo.builtin.catalogue import MODELS
from store import ids
from store.errors import Conflict
from store.jobs import checkpoints
from store.tables import Checkpoint

router = APIRouter(prefix="/models", tags=["openai"], dependencies=[Depends(known_parameters_only)])

MOST_CHECKPOINTS = 1000
"""Checkpoints that are listed: the client's list of models has no pages."""

Name = Annotated[str, Path(description="A built-in model's name, or a checkpoint's id.")]


class ModelObject(View):
    """A model that jobs can start from."""

    object: Literal["model"] = "model"
    id: str
    created: int
    owned_by: str

    @classmethod
    def built_in(cls, name: str) -> Self:
        return cls(id=name, created=0, owned_by="duet")

    @classmethod
    def of(cls, checkpoint: Checkpoint, project: str) -> Self:
        return cls(
            id=ids.encode("ckpt", checkpoint.id),
            created=int(checkpoint.created_at.timestamp()),
            owned_by=project,
        )


class ModelList(View):
    """Every listed model, on one page."""

    object: Literal["list"] = "list"
    data: list[ModelObject]


class ModelDeleted(View):
    """A deleted checkpoint."""

    object: Literal["model"] = "model"
    id: str
    deleted: Literal[True] = True


@router.get("", responses=errors())
def list_openai_models(caller: Reader, session: RequestSession) -> ModelList:
    """List the built-in models and the final checkpoints of the project's newest jobs."""
    found = checkpoints.newest_final(session, caller.project_id, limit=MOST_CHECKPOINTS)
    own = [ModelObject.of(checkpoint, caller.project_name) for checkpoint in found]
    return ModelList(data=[*map(ModelObject.built_in, MODELS), *own])


@router.get("/{model}", responses=errors(404))
def retrieve_openai_model(model: Name, caller: Reader, session: RequestSession) -> ModelObject:
    """Retrieve a built-in model or any checkpoint."""
    if model in MODELS:
        return ModelObject.built_in(model)
    found = checkpoints.get(session, caller.project_id, decoded("ckpt", "model", model))
    return ModelObject.of(found, caller.project_name)


@router.delete("/{model}", responses=errors(404, 409))
def delete_openai_model(
    model: Name,
    caller: Submitter,
    session: RequestSession,
    services: FromServices,
    after_commit: BackgroundTasks,
) -> ModelDeleted:
    """Delete a checkpoint with its files; not possible while another job needs it."""
    if model in MODELS:
        raise Conflict(f"{model} is a built-in model, which cannot be deleted")
    checkpoint_id = decoded("ckpt", "model", model)
    native.delete_checkpoint(checkpoint_id, caller, session, services, after_commit)
    return ModelDeleted(id=model)
