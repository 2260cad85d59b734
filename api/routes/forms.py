"""The spec's schema for forms, and previews of its data."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import TypeAdapter

from api.dependencies.auth import Reader
from api.dependencies.body import as_kind, request_of
from api.dependencies.services import FromServices
from api.errors.responses import problems
from api.schemas.preview import DataPreview
from api.submission.data_facts import ProjectData
from api.submission.preview import preview
from grpo.spec.data import Data
from grpo.spec.job import JobSpec

router = APIRouter(tags=["catalogue"])

SectionData = Annotated[Data, Depends(as_kind(TypeAdapter(Data)))]


@router.get("/schema", responses=problems())
def read_schema(_: Reader) -> dict[str, Any]:
    """Return the JSON schema of a spec: every field with its description, bounds and default."""
    return JobSpec.model_json_schema()


@router.post(
    "/datasets/preview", responses=problems(400, 413), openapi_extra=request_of(Data.__name__)
)
def preview_data(data: SectionData, caller: Reader, services: FromServices) -> DataPreview:
    """Return the first rows of a spec's section `data`, as prompts and expected answers."""
    return preview(ProjectData.of(services, caller.project_id), data)
