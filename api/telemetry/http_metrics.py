"""HTTP metrics of this process in Prometheus's format; each API process reports its own."""

from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from starlette.types import Scope

from api.streaming.feed import Feed

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Buckets [s]: a read takes milliseconds, an upload many seconds."""
OTHER = "other"
"""Label of a path without a route or an unknown method: clients could invent any number of them."""


class HttpMetrics:
    """Labels are a route's template, a method and a class of status: never an id."""

    def __init__(self, feed: Feed) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "duet_http_requests",
            "HTTP requests by route and status; aborted ones count as 5xx.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "duet_http_request_seconds",
            "Seconds from a request to the end of its answer; without streams.",
            ["method", "route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "duet_http_requests_in_flight",
            "Requests in progress, including streams.",
            registry=self.registry,
        )
        streams = Gauge(
            "duet_http_open_streams", "Open streams of jobs' logs.", registry=self.registry
        )
        streams.set_function(lambda: feed.num_followers)

    def answered(self, scope: Scope, *, status: int, seconds: float, streamed: bool) -> None:
        """Count a request by the routing data in its scope."""
        method = scope["method"] if scope["method"] in METHODS else OTHER
        route = route_of(scope) or OTHER
        self._requests.labels(method, route, f"{status // 100}xx").inc()
        if not streamed:
            self._seconds.labels(method, route).observe(seconds)


def route_of(scope: Scope) -> str | None:
    """The template of the matched route; None: no route matched."""
    route = scope.get("route")
    return route.path if isinstance(route, APIRoute) else None
