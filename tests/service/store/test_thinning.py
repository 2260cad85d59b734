"""Retention of samples of jobs that ended long ago."""

import threading
from uuid import UUID

import pytest
from sqlalchemy import text

from store.jobs.outcomes import Completed
from store.log import sample_retention
from store.log.log import Entry
from store.log.sample_retention import Thinned, kept_steps
from tests.service.store.desk import AT, Desk, metric
from tests.waiting import deadline

KINDS = ("status", "metric", "eval", "checkpoint", "message", "sample")


def ended(desk: Desk, *, num_steps: int, days_ago: float = 31) -> UUID:
    """A job with a metric and two samples at every step, an evaluation at every seventh."""
    claim = desk.running()
    entries: list[Entry] = []

    def add(kind: str, step: int, **payload: float) -> None:
        entries.append(Entry(len(entries) + 1, kind, step, AT, payload))

    for step in range(1, num_steps + 1):
        add("metric", step, reward=1.0)
        add("sample", step, group=1)
        add("sample", step, group=2)
        if step % 7 == 0:
            add("eval", step, accuracy=0.5)
    desk.sync(claim, *entries)
    desk.save(claim, step=num_steps, n=len(entries) + 1, final=True)
    desk.finish(claim, Completed())
    age(desk, claim.job_id, days_ago)
    return claim.job_id


def age(desk: Desk, job_id: UUID, days: float) -> None:
    aged = text("update jobs set finished_at = now() - make_interval(days => :days) where id = :id")
    with desk.database.session() as session:
        session.execute(aged, {"days": days, "id": job_id})


def thin(desk: Desk, *, keep_days: float = 30, keep_steps: int = 4) -> Thinned | None:
    with desk.database.session() as session:
        return sample_retention.thin_next(session, keep_days=keep_days, keep_steps=keep_steps)


def sampled(desk: Desk, job_id: UUID) -> list[int | None]:
    return [record.step for record in desk.records(job_id, "sample")]


@pytest.mark.parametrize(
    ("steps", "evaluated", "most", "kept"),
    [
        ([], [3], 4, []),
        ([5], [], 4, [5]),
        (range(1, 21), [], 4, [1, 6, 11, 16, 20]),
        (range(1, 21), [7, 14, 99], 4, [1, 6, 7, 11, 14, 16, 20]),
        ([10, 20, 30, 1000], [], 2, [10, 1000]),
        ([1, 2, 3], [], 100, [1, 2, 3]),
    ],
)
def test_the_steps_that_stay(steps: range, evaluated: list[int], most: int, kept: list[int]):
    assert sorted(kept_steps(list(steps), evaluated, most=most)) == kept
    assert sorted(kept_steps(kept, evaluated, most=most)) == kept
    half_done = [step for step in steps if step in kept or step > 10]
    assert sorted(kept_steps(half_done, evaluated, most=most)) == kept


def test_only_samples_of_the_other_steps_are_removed(desk: Desk):
    job_id = ended(desk, num_steps=20)
    before = {kind: [r.seq for r in desk.records(job_id, kind)] for kind in KINDS}
    assert thin(desk) == Thinned(job_id, removed=2 * 13, done=True)
    assert sampled(desk, job_id) == [step for step in (1, 6, 7, 11, 14, 16, 20) for _ in "12"]
    after = {kind: [r.seq for r in desk.records(job_id, kind)] for kind in KINDS}
    assert set(after.pop("sample")) < set(before.pop("sample"))
    assert after == before
    assert desk.job(job_id).thinned_at is not None
    assert thin(desk) is None


def test_a_reader_by_cursor_finds_all_that_is_left(desk: Desk):
    job_id = ended(desk, num_steps=20)
    thin(desk)
    left = [record.seq for record in desk.records(job_id)]
    assert left != list(range(1, len(left) + 1))
    found, after = [], 0
    while page := desk.records(job_id, after=after)[:5]:
        found += [record.seq for record in page]
        after = found[-1]
    assert found == left
    assert left[-1] == desk.job(job_id).last_seq


def test_a_job_that_ended_lately_or_runs_keeps_its_samples(desk: Desk):
    job_id = ended(desk, num_steps=20, days_ago=29)
    running = desk.running()
    desk.sync(running, *(Entry(n, "sample", n, AT, {}) for n in range(1, 20)))
    assert thin(desk) is None
    assert len(sampled(desk, job_id)) == 40
    assert thin(desk, keep_days=28) == Thinned(job_id, removed=26, done=True)
    assert len(sampled(desk, running.job_id)) == 19


def test_a_job_waits_until_the_one_that_takes_it_up_has_ended(desk: Desk):
    job_id = ended(desk, num_steps=20)
    retry = desk.retry(job_id)
    assert thin(desk) is None
    desk.cancel(retry.id)
    thinned = thin(desk)
    assert thinned is not None
    assert thinned.job_id == job_id


def test_a_long_job_is_thinned_in_several_calls_to_the_same_end(desk: Desk):
    job_id = ended(desk, num_steps=1200)
    calls = [thin(desk), thin(desk), thin(desk)]
    # 171 evaluations; 1, 301, 601, 901 and 1200 stay as well, of which 301 is one: 175 steps.
    assert [(call.removed, call.done) for call in calls if call] == [
        (1000, False),
        (1000, False),
        (2 * (1200 - 175 - 1000), True),
    ]
    kept = {*range(7, 1201, 7), 1, 301, 601, 901, 1200}
    assert sampled(desk, job_id) == [step for step in sorted(kept) for _ in "12"]


def test_one_process_thins_at_a_time(desk: Desk):
    job_id = ended(desk, num_steps=20)
    with desk.database.session() as session:
        first = sample_retention.thin_next(session, keep_days=30, keep_steps=4)
        done: list[Thinned | None] = []
        other = threading.Thread(target=lambda: done.append(thin(desk)))
        other.start()
        other.join(deadline(10))
        assert done == [None]
    assert first == Thinned(job_id, removed=26, done=True)
    assert desk.job(job_id).thinned_at is not None


def test_a_job_without_samples_is_checked_once(desk: Desk):
    claim = desk.running()
    desk.sync(claim, metric(1, 1))
    desk.save(claim, step=1, n=2, final=True)
    desk.finish(claim, Completed())
    age(desk, claim.job_id, 31)
    assert thin(desk) == Thinned(claim.job_id, removed=0, done=True)
    assert thin(desk) is None
