"""A campaign's outcome as a page of 80 columns."""

from collections import Counter
from collections.abc import Iterator, Sequence

from tests.chaos.campaign import Outcome
from tests.chaos.plan import Kind

WIDTH = 80
PROMISES = ("lost", "doubled", "stuck", "inexact", "left over", "refused")


def lines_of(outcome: Outcome, *, again: str) -> Iterator[str]:
    """`again`: the command that repeats it."""
    yield "=" * WIDTH
    yield f"campaign with seed {outcome.plan.seed}: {len(outcome.plan.jobs)} jobs, " + (
        f"{sum(outcome.struck.values())} faults, {outcome.wall_seconds:.0f} s"
    )
    yield ""
    yield from _columns("faults", [(kind, outcome.struck[kind]) for kind in Kind])
    yield from _columns("jobs", _counted(str(one.job.status) for one in outcome.seen))
    yield from _columns("attempts", _attempts(outcome))
    yield from _columns("records", _records(outcome))
    found = Counter(violation.promise for violation in outcome.violations)
    yield from _columns("violations", [(promise, found[promise]) for promise in PROMISES])
    yield from (f"! {violation.promise}: {violation.what}" for violation in outcome.violations)
    yield "verdict: " + ("BROKEN" if outcome.violations else "every promise was kept")
    yield f"again:   {again}"


def _attempts(outcome: Outcome) -> list[tuple[str, int]]:
    ends = (attempt for one in outcome.seen for attempt in one.attempts)
    codes = [
        (f"{attempt.outcome}: {attempt.error['code']}" if attempt.error else str(attempt.outcome))
        for attempt in ends
    ]
    most = max((len(one.attempts) for one in outcome.seen), default=0)
    return [("all", len(codes)), ("most of one job", most), *_counted(codes)]


def _records(outcome: Outcome) -> list[tuple[str, int]]:
    return [
        ("all", sum(len(one.records) for one in outcome.seen)),
        ("superseded", sum(one.num_superseded for one in outcome.seen)),
        ("requests made again", outcome.num_repeated),
    ]


def _counted(words: Iterator[str] | Sequence[str]) -> list[tuple[str, int]]:
    return sorted(Counter(words).items())


def _columns(title: str, counts: Sequence[tuple[str, int]]) -> Iterator[str]:
    """Format two pairs per line under a title."""
    yield title
    for left, right in zip(counts[::2], [*counts[1::2], None][: len(counts[::2])], strict=True):
        pairs = [left] if right is None else [left, right]
        yield "  " + "   ".join(f"{str(name)[:30]:<30}{number:>5}" for name, number in pairs)
    yield ""
