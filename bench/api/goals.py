"""Rows of the report from turns: each goal's number, and whether it was met."""

from collections.abc import Sequence
from statistics import median, quantiles

from bench.api.load import Served
from bench.report import Row

LEAST_THROUGHPUT = 0.7
MOST_P99 = {"create": 1.5}
MOST_LONGER = {"list": 1.25, "curve": 3.0, "delivery": 2.0}
KIB = 1024


def throughput(goal: str, ours: Sequence[Served], bare: Sequence[Served]) -> Row:
    """Return responses per second, ours divided by the bare app's, per round."""
    ratios = [own.a_second / other.a_second for own, other in zip(ours, bare, strict=True)]
    speeds = [median(served.a_second for served in turns) for turns in (ours, bare)]
    measured = f"{_spread(ratios)}; {speeds[0]:.0f} against {speeds[1]:.0f}/s"
    reached = median(ratios) >= LEAST_THROUGHPUT
    return Row(f"{goal}: throughput", measured, f">= {LEAST_THROUGHPUT:g}x", reached)


def tail(goal: str, ours: Sequence[Served], bare: Sequence[Served], *, most: float | None) -> Row:
    """Return the 99th percentile of response times."""
    tails = [[p99(served.latencies) for served in turns] for turns in (ours, bare)]
    return _longer(f"{goal}: p99", *tails, most=most)


def longer(goal: str, ours: Sequence[Served], bare: Sequence[Served], *, most: float) -> Row:
    """Return the median response time."""
    middles = [[median(served.latencies) for served in turns] for turns in (ours, bare)]
    return _longer(goal, *middles, most=most)


def delivery(
    ours: Sequence[Sequence[float]], bare: Sequence[Sequence[float]], watchers: int
) -> Row:
    """Return the time from commit to arrival, over all watchers and events of a turn."""
    tails = [[p99(latencies) for latencies in turns] for turns in (ours, bare)]
    return _longer(f"{watchers:,} watchers: delivery p99", *tails, most=MOST_LONGER["delivery"])


def memory(ours: Sequence[float], bare: Sequence[float], watchers: int) -> Row:
    """Return the growth of resident memory per watcher."""
    sizes = [
        max(turns) / watchers / KIB for turns in (ours, bare)
    ]  # memory is not returned to the system
    measured = f"{sizes[0]:.0f} KiB; bare {sizes[1]:.0f} KiB"
    return Row(f"{watchers:,} watchers: memory of each", measured)


def p99(latencies: Sequence[float]) -> float:
    return quantiles(latencies, n=100, method="inclusive")[98]


def _longer(goal: str, ours: Sequence[float], bare: Sequence[float], *, most: float | None) -> Row:
    ratios = [own / other for own, other in zip(ours, bare, strict=True)]
    times = [1000 * median(seconds) for seconds in (ours, bare)]
    measured = f"{_spread(ratios)}; {times[0]:.1f} against {times[1]:.1f} ms"
    if most is None:
        return Row(goal, measured)
    return Row(goal, measured, f"<= {most:g}x", median(ratios) <= most)


def _spread(ratios: Sequence[float]) -> str:
    return f"{median(ratios):.2f}x ({min(ratios):.2f}-{max(ratios):.2f})"
