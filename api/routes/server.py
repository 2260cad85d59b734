"""The server: its catalogue, the caller's key, and health."""

from fastapi import APIRouter, Response
from sqlalchemy.exc import OperationalError

from api.dependencies.auth import Anyone, Reader
from api.dependencies.services import FromServices
from api.errors.responses import problems
from api.schemas.server import (
    Alive,
    Catalogue,
    DatasetView,
    Me,
    ModelView,
    OwnKey,
    OwnProject,
    PresetView,
    Ready,
    RewardView,
)
from grpo.builtin.catalogue import DATASETS, MODELS
from grpo.presets.catalogue import describe_preset, load_preset, preset_names
from grpo.rewards.catalogue import REWARD_TYPES
from store import workers
from store.database import schema
from store.errors import DatabaseUnusable

catalogue = APIRouter(tags=["catalogue"], responses=problems())
health = APIRouter(tags=["health"])


@catalogue.get("/presets")
def list_presets(_: Reader) -> Catalogue[PresetView]:
    """List the presets for a spec's `preset`."""
    presets = [
        PresetView(name=name, description=describe_preset(name), settings=load_preset(name))
        for name in preset_names()
    ]
    return Catalogue(data=presets)


@catalogue.get("/models")
def list_models(_: Reader) -> Catalogue[ModelView]:
    """List the built-in models for `model.source`."""
    models = [
        ModelView(name=name, description=model.description, context_tokens=model.context_tokens)
        for name, model in MODELS.items()
    ]
    return Catalogue(data=models)


@catalogue.get("/datasets")
def list_datasets(_: Reader) -> Catalogue[DatasetView]:
    """List the built-in data sets for `data.train` and `data.eval`."""
    datasets = [
        DatasetView(name=name, description=dataset.description)
        for name, dataset in DATASETS.items()
    ]
    return Catalogue(data=datasets)


@catalogue.get("/rewards")
def list_rewards(_: Reader) -> Catalogue[RewardView]:
    """List the rewards for `rewards[].type`, each with the JSON schema of its settings."""
    rewards = [
        RewardView(
            type=name,
            description=(reward.__doc__ or "").strip(),
            settings=reward.model_json_schema(),
        )
        for name, reward in REWARD_TYPES.items()
    ]
    return Catalogue(data=rewards)


@catalogue.get("/me", tags=["keys"])
def read_me(caller: Anyone) -> Me:
    """Return the calling key and its project."""
    return Me(key=OwnKey.of(caller), project=OwnProject.of(caller))


@health.get("/livez")
def read_alive() -> Alive:
    """Report that the process is alive."""
    return Alive()


@health.get("/readyz", responses={503: {"model": Ready, "description": "Not ready."}})
def read_ready(services: FromServices, response: Response) -> Ready:
    """Report whether requests can be served. Redis is not required."""
    problem = None
    try:
        with services.database.session() as session:
            problem = schema.state_of(session).problem
            database, migrated = True, problem is None
            blocked = workers.any_blocked(session) if migrated else False
            writes = services.database.takes_writes(session)
    except (OperationalError, DatabaseUnusable):
        database = migrated = writes = False
        blocked = False
    redis = services.wake_ups.redis_answers()
    status = "ready" if redis and not blocked else "degraded"
    if not (migrated and writes):
        response.status_code, status = 503, "unready"
    results = {"database": database, "migrations": migrated, "writes": writes, "redis": redis}
    results["workers"] = not blocked
    return Ready(
        status=status,
        checks={name: "ok" if good else "failed" for name, good in results.items()},
        problem=problem,
    )
