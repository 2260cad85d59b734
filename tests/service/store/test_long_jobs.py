"""A long job: curves keep their shape, and reading costs the same at any length."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from random import Random
from uuid import UUID

import pytest
from sqlalchemy import text

from store.jobs import jobs
from store.jobs.outcomes import Stopped
from store.log import curves as metrics
from store.log import log, samples
from store.log.curves import Curve
from store.log.log import Entry
from store.tables import Job
from tests.service.store.blocks import blocks
from tests.service.store.desk import AT, Desk, metric


def written(desk: Desk, curve: Curve) -> UUID:
    """A job whose metric `x` has these points; None is a stored NaN."""
    claim = desk.running()
    desk.sync(
        claim,
        *(
            metric(n, step, x=float("nan") if value is None else value)
            for n, (step, value) in enumerate(curve, start=1)
        ),
    )
    return claim.job_id


def read(desk: Desk, job_id: UUID, max_points: int, name: str = "x", from_step: int = 0) -> Curve:
    with desk.database.session() as session:
        return metrics.read_metrics(
            session, job_id, names=[name], from_step=from_step, max_points=max_points
        )[name]


def thinned(curve: Curve, max_points: int) -> Curve:
    """Reference implementation of downsampling, for a curve with a point at every step."""
    inner, stretches = curve[1:-1], (max_points - 2) // 2
    edges = [len(inner) * n // stretches for n in range(stretches + 1)]
    return [curve[0], *(p for a, b in pairwise(edges) for p in extremes(inner[a:b])), curve[-1]]


def extremes(stretch: Curve) -> Iterator[tuple[int, float | None]]:
    finite = [(value, step) for step, value in stretch if value is not None]
    if not finite:
        yield stretch[0]
    else:
        steps = {min(finite)[1], max(finite)[1]}
        yield from (point for point in stretch if point[0] in steps)


def test_a_long_curve_keeps_its_ends_and_its_spikes(desk: Desk):
    curve: Curve = [(step, 0.0) for step in range(1000)]
    curve[500], curve[501] = (500, 9.0), (501, -9.0)
    kept = read(desk, written(desk, curve), 10)
    # Four stretches of 249 or 250 steps.  Equal values: the first is the lowest, the last highest.
    assert kept == [
        *[(0, 0.0), (1, 0.0), (249, 0.0), (250, 0.0), (499, 0.0)],
        *[(500, 9.0), (501, -9.0), (749, 0.0), (998, 0.0), (999, 0.0)],
    ]


def test_a_short_curve_stays_whole(desk: Desk):
    curve: Curve = [(1, 1.0), (2, None), (3, 2.0)]
    job_id = written(desk, curve)
    assert [read(desk, job_id, most) for most in (2, 3, 1000)] == [curve] * 3


def test_values_that_are_not_finite_do_not_hide_a_spike(desk: Desk):
    curve: Curve = [(step, None) for step in range(100)]
    curve[50] = (50, 1.0)
    kept = read(desk, written(desk, curve), 6)
    assert kept == [(0, None), (1, None), (50, 1.0), (99, None)]


@pytest.mark.parametrize("max_points", [4, 7, 100, 499])
def test_any_downsampled_curve_keeps_the_documented_points(desk: Desk, max_points: int):
    random = Random(max_points)
    values = [None, *(float(random.randrange(-20, 20)) for _ in range(9))]
    curve: Curve = [(step, random.choice(values)) for step in range(3, 503)]
    kept = read(desk, written(desk, curve), max_points)
    assert kept == thinned(curve, max_points)
    assert len(kept) <= max_points


def test_a_curve_with_few_points_in_a_long_job_keeps_them_all(desk: Desk):
    """Points close together, where other curves of the job keep two of all points."""
    claim = desk.running()
    entries = [metric(n, n, x=float(n), **({"y": n / 2} if n < 30 else {})) for n in range(1, 400)]
    desk.sync(claim, *entries)
    with desk.database.session() as session:
        curves = metrics.read_metrics(session, claim.job_id, max_points=30)
    assert len(curves["x"]) == 30
    assert curves["y"] == [(n, n / 2) for n in range(1, 30)]


def test_curves_of_different_extent_are_each_cut_by_their_own(desk: Desk):
    claim = desk.running()
    entries = [metric(n, n, x=float(n), **({"y": n / 2} if n > 300 else {})) for n in range(1, 401)]
    desk.sync(claim, *entries)
    with desk.database.session() as session:
        curves = metrics.read_metrics(session, claim.job_id, max_points=20)
        later = metrics.read_metrics(session, claim.job_id, from_step=301, max_points=20)
    assert curves["y"] == thinned([(n, n / 2) for n in range(301, 401)], 20)
    assert later == {"x": thinned([(n, float(n)) for n in range(301, 401)], 20), "y": curves["y"]}


def test_a_spike_that_was_superseded_is_not_seen(desk: Desk):
    first = desk.running()
    desk.sync(first, *(metric(n, n, x=float(n == 60)) for n in range(1, 101)))
    desk.finish(first, Stopped())
    second = desk.claim_of(first.job_id)  # from the start: nothing was saved
    desk.sync(second, *(metric(n, n, x=-float(n == 40)) for n in range(1, 101)))
    kept = read(desk, first.job_id, 10)
    assert (40, -1.0) in kept
    assert {value for _, value in kept} == {0.0, -1.0}


def test_values_that_are_not_finite_floats_are_points_without_a_value(desk: Desk):
    claim = desk.running()
    odd = {1: 10**400, 2: "text", 3: [1], 4: None}
    desk.sync(claim, *(Entry(n, "metric", n, AT, {"x": odd.get(n, n)}) for n in range(1, 90)))
    without = [(n, None) for n in odd]
    assert read(desk, claim.job_id, 4) == [(1, None), (5, 5.0), (88, 88.0), (89, 89.0)]
    assert read(desk, claim.job_id, 89) == [*without, *((n, float(n)) for n in range(5, 90))]


def test_names_that_differ_in_the_last_letter_are_distinct(desk: Desk):
    claim = desk.running()
    desk.sync(claim, metric(1, 1, **{"x" * 99 + "a": 1.0, "x" * 99 + "b": 2.0, "%(a)s'": 3.0}))
    with desk.database.session() as session:
        curves = metrics.read_metrics(session, claim.job_id)
    assert curves == {"x" * 99 + "a": [(1, 1.0)], "x" * 99 + "b": [(1, 2.0)], "%(a)s'": [(1, 3.0)]}


PAGE = 101

READS: dict[str, Callable[..., object]] = {
    "records": lambda session, job_id, after: log.read(session, job_id, after=after, limit=PAGE),
    "every record": lambda session, job_id, after: log.read(
        session, job_id, after=after, limit=PAGE, superseded=True
    ),
    "metrics": lambda session, job_id, after: log.read(
        session, job_id, kinds=["metric"], after=after, limit=PAGE
    ),
    "samples": lambda session, job_id, after: samples.read_samples(
        session, job_id, after=after, limit=PAGE
    ),
    "checkpoints and evals": lambda session, job_id, after: log.read(
        session, job_id, kinds=["checkpoint", "eval"], after=after, limit=PAGE
    ),
    "status": lambda session, job_id, after: log.read(
        session, job_id, kinds=["status"], after=after, limit=PAGE
    ),
    "a step's samples": lambda session, job_id, **_: samples.read_samples(
        session, job_id, step=70_000, limit=PAGE
    ),
    "the timeline": lambda session, job_id, **_: jobs.timelines(
        session, [session.get_one(Job, job_id)]
    ),
    "the latest metrics": lambda session, job_id, **_: log.metrics_at_end(session, job_id),
}


def test_a_page_of_a_log_of_100000_steps_touches_a_small_part_of_it(desk: Desk):
    """Wherever it begins; counted in blocks of 8 KB.

    Most is a page of what is rare among the rest: 101 of every 33rd record lie in 300 blocks.
    """
    claim = desk.running()
    with desk.database.session() as session:
        session.execute(text(FILLING), {"job": claim.job_id})
        session.execute(text("analyze records"))
        whole = session.scalars(text("select relpages from pg_class where relname = 'records'"))
        most = whole.one() / 20
    touched = {
        (name, after): blocks(desk, partial(reading, job_id=claim.job_id, after=after))
        for name, reading in READS.items()
        for after in (0, 60_000, 112_500)
    }
    assert {key: num for key, num in touched.items() if num > most} == {}


FILLING = """
    insert into records (job_id, seq, attempt, kind, step, payload, at)
    select :job, 2 + row_number() over (order by step, place), 1, kind, step,
        jsonb_build_object('text', repeat('x', 500)), now()
    from generate_series(1, 100000) step
    cross join (values (1, 'metric', 1), (2, 'sample', 10), (3, 'eval', 50), (4, 'checkpoint', 100))
        as kinds (place, kind, every)
    where step % every = 0
"""
