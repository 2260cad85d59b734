"""Prometheus metrics; like the health checks, without authentication."""

from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from api.dependencies.services import FromServices
from api.dependencies.transaction import RequestSession
from api.errors.responses import problems
from api.limits.rate_limits import check_address
from api.telemetry.gauges import registry_of
from store import gauges

router = APIRouter(tags=["health"])

TEXT: dict[int | str, dict[str, Any]] = {
    200: {"description": "Prometheus's text format.", "content": {"text/plain": {}}},
    **{status: problems(429)[status] for status in (429, 503)},
}


@router.get("/metrics", response_class=Response, responses=TEXT)
def scrape_metrics(session: RequestSession, services: FromServices, request: Request) -> Response:
    """Return metrics of jobs, queues, workers, leases, the reaper and webhook deliveries, the same
    from every API process, and of this process's HTTP requests."""
    check_address(request, services.rate_limits)

    def make() -> bytes:
        now = gauges.read(session, lease_seconds=services.settings.lease_seconds)
        return generate_latest(registry_of(now)) + generate_latest(services.http_metrics.registry)

    return Response(services.scraped.get(make), media_type=CONTENT_TYPE_LATEST)
