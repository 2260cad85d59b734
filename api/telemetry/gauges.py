"""The store's gauges in Prometheus's format: base units, and never an id as a label."""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from store.gauges import Gauges
from store.jobs.queue_stats import QueueState

MOST_QUEUES = 100
"""Maximum number of queues reported: submitters choose the names. The longest queues come first."""


def registry_of(gauges: Gauges) -> CollectorRegistry:
    """A registry for one answer, with the database's values only, none of this process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_StoreGauges(gauges))
    return registry


class _StoreGauges(Collector):
    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges

    def collect(self) -> Iterable[Metric]:
        """All metrics are gauges: deleting a job deletes its attempts, and a counter never
        falls."""
        now = self._gauges
        yield _by("duet_jobs", "Jobs by status.", "status", now.jobs)
        yield _by("duet_attempts", "Attempts of existing jobs by outcome.", "outcome", now.attempts)
        yield _by("duet_workers", "Live workers by state.", "state", now.workers)
        yield _by("duet_leases", "Leases of running jobs by state.", "state", now.leases)
        yield from _queues(now.queues)
        yield _one(
            "duet_sweep_age_seconds", "Seconds since the reaper last ran.", now.reaper_age_seconds
        )
        yield _one(
            "duet_webhook_deliveries_due", "Webhook deliveries that are due.", now.deliveries_due
        )
        yield _one(
            "duet_webhook_oldest_delivery_seconds",
            "Age of the oldest due delivery in seconds; 0 if none is due.",
            now.oldest_delivery_seconds or 0,
        )


def _queues(states: Iterable[QueueState]) -> Iterable[Metric]:
    longest = sorted(states, key=lambda state: state.num_queued, reverse=True)[:MOST_QUEUES]
    for name, help_, values in (
        ("queued_jobs", "Queued jobs.", {s.name: s.num_queued for s in longest}),
        ("due_jobs", "Queued jobs that could run now.", {s.name: s.num_due for s in longest}),
        ("running_jobs", "Running jobs.", {s.name: s.num_running for s in longest}),
        (
            "oldest_wait_seconds",
            "Seconds that the oldest due job has waited; 0 if none is due.",
            {s.name: s.oldest_wait_seconds or 0 for s in longest},
        ),
        (
            "workers",
            "Workers that serve the queue and are not draining.",
            {s.name: s.num_workers for s in longest},
        ),
        ("free_slots", "Free slots of these workers.", {s.name: s.num_free_slots for s in longest}),
    ):
        yield _by(f"duet_queue_{name}", help_, "queue", values)


def _by(name: str, help_: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, help_, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _one(name: str, help_: str, value: float | None) -> Metric:
    """A gauge of one value; None: no sample."""
    family = GaugeMetricFamily(name, help_)
    if value is not None:
        family.add_metric([], value)
    return family
