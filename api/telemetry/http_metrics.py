"""What this process has answered, as Prometheus reads it; another API tells its own."""

from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from starlette.types import Scope

from api.streaming.feed import Feed

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Buckets: a read takes some milliseconds, an upload many seconds."""
OTHER = "other"
"""A path without a route, or a method that is none: whoever asks could make up any number."""


class HttpMetrics:
    """Labels are a route's template, a method and a class of status: never an id."""

    def __init__(self, feed: Feed) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "duet_http_requests",
            "Requests that were answered, or broken off (5xx).",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "duet_http_request_seconds",
            "From a request to the end of its answer; streams are left out.",
            ["method", "route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "duet_http_requests_in_flight",
            "Requests that are being answered, streams included.",
            registry=self.registry,
        )
        streams = Gauge("duet_http_open_streams", "Streams of jobs' logs.", registry=self.registry)
        streams.set_function(lambda: feed.num_followers)

    def answered(self, scope: Scope, *, status: int, seconds: float, streamed: bool) -> None:
        """Count a request by what its routing has left in the scope."""
        method = scope["method"] if scope["method"] in METHODS else OTHER
        route = route_of(scope) or OTHER
        self._requests.labels(method, route, f"{status // 100}xx").inc()
        if not streamed:
            self._seconds.labels(method, route).observe(seconds)


def route_of(scope: Scope) -> str | None:
    """The template of the route that has answered; None: there is none."""
    route = scope.get("route")
    return route.path if isinstance(route, APIRoute) else None
