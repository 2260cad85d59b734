"""The store's gauges as Prometheus reads them: base units, and no id is ever a label."""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from store.gauges import Gauges
from store.jobs.queue_stats import QueueState

MOST_QUEUES = 100
"""A queue's name comes from whoever submits: the longest so many are told of."""


def registry_of(gauges: Gauges) -> CollectorRegistry:
    """A registry for one answer: what it tells is the database's, and not this process's."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Told(gauges))
    return registry


class _Told(Collector):
    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges

    def collect(self) -> Iterable[Metric]:
        """All are gauges: a job that is deleted takes its attempts along, and a counter never
        falls."""
        now = self._gauges
        yield _by("duet_jobs", "Jobs.", "status", now.jobs)
        yield _by("duet_attempts", "Attempts of the jobs there are.", "outcome", now.attempts)
        yield _by("duet_workers", "Workers that are there.", "state", now.workers)
        yield _by("duet_leases", "Leases of running jobs.", "state", now.leases)
        yield from _queues(now.queues)
        yield _one(
            "duet_sweep_age_seconds", "Seconds since the reaper last ran.", now.reaper_age_seconds
        )
        yield _one(
            "duet_webhook_deliveries_due", "Webhook deliveries to be tried.", now.deliveries_due
        )
        yield _one(
            "duet_webhook_oldest_delivery_seconds",
            "How long the one that is due for longest has been so; 0: none is.",
            now.oldest_delivery_seconds or 0,
        )


def _queues(states: Iterable[QueueState]) -> Iterable[Metric]:
    told = sorted(states, key=lambda state: state.num_queued, reverse=True)[:MOST_QUEUES]
    for name, help_, values in (
        ("queued_jobs", "Jobs that wait.", {s.name: s.num_queued for s in told}),
        ("due_jobs", "Jobs that wait and could run now.", {s.name: s.num_due for s in told}),
        ("running_jobs", "Jobs that run.", {s.name: s.num_running for s in told}),
        (
            "oldest_wait_seconds",
            "Of the job that is due for longest; 0: none is.",
            {s.name: s.oldest_wait_seconds or 0 for s in told},
        ),
        ("workers", "That serve it and do not drain.", {s.name: s.num_workers for s in told}),
        ("free_slots", "Of these workers.", {s.name: s.num_free_slots for s in told}),
    ):
        yield _by(f"duet_queue_{name}", help_, "queue", values)


def _by(name: str, help_: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, help_, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _one(name: str, help_: str, value: float | None) -> Metric:
    """None: nothing is told."""
    family = GaugeMetricFamily(name, help_)
    if value is not None:
        family.add_metric([], value)
    return family
