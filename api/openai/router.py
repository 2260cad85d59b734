"""The OpenAI-compatible API, for clients with `base_url=".../openai/v1"`."""

from fastapi import APIRouter

from api.openai import files, graders_api, jobs, models

router = APIRouter(prefix="/openai/v1")
for routes in (files, jobs, models, graders_api):
    router.include_router(routes.router)
