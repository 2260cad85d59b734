"""The process's services that requests use: created at start-up, injected from there."""

from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Annotated

from fastapi import Depends, Request

from api.limits.project_slots import ProjectSlots
from api.limits.rate_limits import RateLimits
from api.limits.reward_checks import RewardChecks
from api.limits.reward_trials import Trials
from api.limits.shared_answer import SharedAnswer
from api.streaming.feed import Feed
from api.streaming.key_watch import StreamKeys
from api.streaming.sse import SlowReaders
from api.telemetry.http_metrics import HttpMetrics
from api.wake_ups import WakeUps
from store.artifacts.artifacts import Artifacts
from store.database.database import Database
from store.security.encryption import Cipher
from store.settings import Settings
from store.telemetry.tracing import Tracing


@dataclass(frozen=True)
class Services:
    settings: Settings
    database: Database
    cipher: Cipher | None
    """Encrypts the projects' secrets; None: the server has no key."""
    artifacts: Artifacts
    feed: Feed
    wake_ups: WakeUps
    rate_limits: RateLimits
    trials: Trials
    reward_checks: RewardChecks
    row_slots: ProjectSlots
    """Slots for row checks in separate processes."""
    inspections: BoundedSemaphore
    http_metrics: HttpMetrics
    scraped: SharedAnswer
    """The current answer of `/metrics`."""
    tracing: Tracing
    slow_readers: SlowReaders
    stream_keys: StreamKeys


async def services_of(request: Request) -> Services:
    return request.app.state.services


FromServices = Annotated[Services, Depends(services_of)]
