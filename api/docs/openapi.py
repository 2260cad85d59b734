"""The OpenAPI document: generated, completed where FastAPI lacks information, and saved as a
file."""

import json
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from api.docs.links import add_links
from api.errors.openai import PREFIX
from api.errors.problems import ProblemDocument
from api.openai.create_job import CreateJob
from api.openai.graders_api import GraderToRun, GraderToValidate
from api.schemas.access import NewKey, NewProject, ProjectQuota
from api.schemas.browser_sessions import SignIn
from api.schemas.estimates import ToEstimate
from api.schemas.jobs import Fork, JobChange
from api.schemas.rewards import RewardsToTry
from api.schemas.sweeps import NewSweep
from api.schemas.webhooks import NewWebhook, WebhookChange
from grpo.spec.job import JobSpec

FILE = Path(__file__).parents[2] / "docs" / "openapi.json"
DESCRIPTION = (
    "Trains language models with 2-GRPO and k-GRPO.  Errors are RFC 9457 problems with a stable "
    "`code`; lists are {data, next}; times are RFC 3339 in UTC."
)


# In no route's signature: bodies that are parsed by hand, and the errors.
SCHEMAS = (
    JobSpec,
    JobChange,
    Fork,
    NewSweep,
    NewWebhook,
    WebhookChange,
    ToEstimate,
    RewardsToTry,
    SignIn,
    NewKey,
    NewProject,
    ProjectQuota,
    CreateJob,
    GraderToRun,
    GraderToValidate,
    ProblemDocument,
)


def describe(app: FastAPI) -> None:
    """Serve `/openapi.json` with the schemas that no route's signature mentions."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _generate(app)
        return app.openapi_schema

    app.openapi = document


def as_text(app: FastAPI) -> str:
    """Return the document as saved in docs/openapi.json."""
    return json.dumps(app.openapi(), indent=2, ensure_ascii=False) + "\n"


def _generate(app: FastAPI) -> dict[str, Any]:
    generated = get_openapi(
        title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes
    )
    schemas = generated["components"]["schemas"]
    for model in SCHEMAS:
        schema = TypeAdapter(model).json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    for path, operations in generated["paths"].items():
        if path.startswith(PREFIX):  # an invalid field is a 400 there
            for operation in operations.values():
                operation["responses"].pop("422", None)
    add_links(generated)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    generated["components"]["schemas"] = dict(sorted(schemas.items()))
    return generated
