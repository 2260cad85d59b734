"""The application: its parts, and the services that live as long as the process."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from threading import BoundedSemaphore

from fastapi import APIRouter, Depends, FastAPI

from api import web_page
from api.cross_origin import allow_origins
from api.dependencies.query import known_parameters_only, storable_parameters
from api.dependencies.services import Services
from api.docs import pages
from api.docs.openapi import describe
from api.errors import handlers
from api.limits.project_slots import ProjectSlots
from api.limits.rate_limits import RateLimits
from api.limits.reward_checks import RewardChecks
from api.limits.reward_trials import Trials
from api.limits.shared_answer import SharedAnswer
from api.methods import Methods
from api.middleware import Edge
from api.openai import router as openai
from api.routes import (
    audit,
    browser_sessions,
    checkpoints,
    compare,
    estimates,
    exports,
    files,
    fleet,
    forms,
    job_actions,
    jobs,
    keys,
    log,
    metrics,
    project_secrets,
    rewards,
    server,
    stream,
    sweeps,
    trainer_output,
    webhooks,
)
from api.streaming.feed import Feed
from api.streaming.key_watch import StreamKeys
from api.streaming.sse import SlowReaders
from api.submission import data_file, row_checks
from api.telemetry.http_metrics import HttpMetrics
from api.wake_ups import WakeUps
from store.artifacts.factory import artifacts_at
from store.database.database import Database
from store.security.encryption import Cipher
from store.settings import Settings
from store.telemetry.tracing import open_tracing

PING_SECONDS = 15.0
SEND_SECONDS = 30.0
ARTIFACT_RETRY_SECONDS = 5.0  # maximum time that a request waits for the artifact store

V1_ROUTES = (
    files,
    jobs,
    estimates,
    rewards,
    forms,
    compare,
    job_actions,
    log,
    exports,
    stream,
    trainer_output,
    checkpoints,
    fleet,
    webhooks,
    sweeps,
    keys,
    project_secrets,
    audit,
    browser_sessions,
)

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(
    settings: Settings, *, ping_seconds: float = PING_SECONDS, send_seconds: float = SEND_SECONDS
) -> FastAPI:
    """Create the application; it opens no connections before startup.

    Args:
        ping_seconds: interval of keep-alive comments on a silent stream, and of checks of the
            streams' keys.
        send_seconds: time limit for a stream's reader to receive each chunk.
    """
    app = assemble(
        partial(_running, settings, ping_seconds=ping_seconds, send_seconds=send_seconds)
    )
    allow_origins(app, settings.origins)
    return app


@asynccontextmanager
async def _running(
    settings: Settings, app: FastAPI, *, ping_seconds: float, send_seconds: float
) -> AsyncIterator[None]:
    """Open the services for the application's lifetime."""
    services = _open_services(settings, ping_seconds, send_seconds)
    app.state.services = services
    tasks = asyncio.gather(
        services.feed.run(), services.slow_readers.run(), services.stream_keys.run()
    )
    yield
    tasks.cancel()
    with suppress(asyncio.CancelledError):
        await tasks
    services.reward_checks.close()
    services.wake_ups.close()
    services.rate_limits.close()
    services.tracing.close()
    services.database.close()


def _open_services(settings: Settings, ping_seconds: float, send_seconds: float) -> Services:
    database = Database.of(settings)
    read_log = partial(stream.read_log, database)
    feed = Feed(database.listen_url, read_log, ping_seconds=ping_seconds)
    return Services(
        settings=settings,
        database=database,
        cipher=Cipher.of(settings),
        artifacts=artifacts_at(settings.artifacts_url, retry_seconds=ARTIFACT_RETRY_SECONDS),
        feed=feed,
        wake_ups=WakeUps(settings.redis_url),
        rate_limits=RateLimits(settings.redis_url),
        trials=Trials(settings),
        reward_checks=RewardChecks(),
        row_slots=ProjectSlots(row_checks.AT_ONCE),
        inspections=BoundedSemaphore(data_file.AT_ONCE),
        http_metrics=HttpMetrics(feed),
        scraped=SharedAnswer(),
        tracing=open_tracing(settings, service="duet-api"),
        slow_readers=SlowReaders(send_seconds),
        stream_keys=StreamKeys(database, look_seconds=ping_seconds),
    )


def assemble(lifespan: Lifespan | None = None) -> FastAPI:
    """Create the routes without the services that they need: enough for the OpenAPI document."""
    app = FastAPI(
        title="Duet",
        version=version("duet"),
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
        generate_unique_id_function=lambda route: route.name,
        dependencies=[Depends(storable_parameters)],
    )
    app.include_router(_v1())
    app.include_router(server.health)
    app.include_router(metrics.router)
    app.include_router(openai.router)
    web_page.serve(app)
    pages.serve(app)
    handlers.install(app)
    describe(app)
    app.add_middleware(Methods)
    app.add_middleware(Edge)
    return app


def _v1() -> APIRouter:
    """The routes below `/v1`, in the order of the OpenAPI document."""
    router = APIRouter(prefix="/v1", dependencies=[Depends(known_parameters_only)])
    for routes in V1_ROUTES:
        router.include_router(routes.router)
    router.include_router(server.catalogue)
    return router
