"""A campaign is determined by its seed, and matches its parameters."""

from collections import Counter

import pytest

from tests.chaos.faults import STRIKES
from tests.chaos.plan import LONGEST_DELAY_SECONDS, Ending, Kind, Plan, make_plan


def drawn(seed: int, *, num_jobs: int = 20, num_faults: int = 60) -> Plan:
    return make_plan(seed=seed, num_jobs=num_jobs, num_faults=num_faults, lease_seconds=10)


def test_the_seed_decides_the_whole_plan():
    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)


@pytest.mark.parametrize("seed", range(20))
def test_every_kind_of_fault_is_planned_and_the_cancels_match_the_jobs(seed: int):
    plan = drawn(seed)
    assert (len(plan.jobs), len(plan.faults)) == (20, 60)
    kinds = Counter(fault.kind for fault in plan.faults)
    ended = [n for n, job in enumerate(plan.jobs) if job.ending is not Ending.SUCCEEDED]
    assert kinds.pop(Kind.CANCELLED) == len(ended) == 3
    assert set(kinds) == set(Kind) - {Kind.CANCELLED}
    # 57 in rounds of 16: three whole ones and a part of a fourth.
    assert 6 <= kinds.pop(Kind.TRAINER_KILLED) <= 8
    assert set(kinds.values()) <= {3, 4}


@pytest.mark.parametrize("seed", range(20))
def test_a_job_runs_until_the_last_fault_cancels_it(seed: int):
    plan = drawn(seed)
    assert plan.jobs[0].ending is Ending.CANCELLED
    assert plan.cancels[-1] == 0
    assert sorted(plan.cancels) == [
        n for n, job in enumerate(plan.jobs) if job.ending is not Ending.SUCCEEDED
    ]
    assert plan.faults[-1].kind is Kind.CANCELLED


def test_a_worker_is_stopped_and_postgres_away_for_longer_than_a_lease_but_not_soon_back():
    for fault in drawn(3).faults:
        assert 0 <= fault.delay_seconds <= LONGEST_DELAY_SECONDS
        assert 0 <= fault.target < 1
        long = fault.kind in (Kind.WORKER_STOPPED, Kind.POSTGRES_AWAY)
        assert (fault.hold_seconds > 10) is long


def test_a_plan_needs_a_fault_for_each_cancel():
    with pytest.raises(ValueError, match="more faults are needed"):
        drawn(1, num_jobs=20, num_faults=2)


def test_every_kind_can_be_done():
    assert STRIKES.keys() == set(Kind)
