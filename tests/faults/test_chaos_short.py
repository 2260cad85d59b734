"""Campaigns with fixed seeds; `make chaos` is a longer one with any seed."""

from pathlib import Path

import pytest

from tests.chaos.campaign import run_campaign
from tests.chaos.plan import Kind, make_plan
from tests.chaos.report import lines_of
from tests.chaos.system import LEASE_SECONDS
from tests.faults.conftest import Unbroken


def assert_kept(
    folder: Path,
    unbroken: Unbroken,
    *,
    seed: int,
    num_jobs: int,
    num_faults: int,
    num_workers: int,
) -> None:
    """Assert that all faults were injected as planned and no guarantee was violated."""
    plan = make_plan(
        seed=seed, num_jobs=num_jobs, num_faults=num_faults, lease_seconds=LEASE_SECONDS
    )
    said: list[str] = []
    outcome = run_campaign(
        plan, folder=folder, unbroken=unbroken, num_workers=num_workers, say=said.append
    )
    told = "\n".join([*said, *lines_of(outcome, again=f"seed {seed}")])
    assert not outcome.violations, told
    assert len(outcome.seen) == num_jobs, told
    assert sum(outcome.struck.values()) == num_faults, told
    assert outcome.struck[Kind.CANCELLED] == len(plan.cancels), told


@pytest.mark.nightly
def test_ten_faults_lose_duplicate_or_stall_none_of_four_jobs(tmp_path: Path, unbroken: Unbroken):
    assert_kept(tmp_path, unbroken, seed=27, num_jobs=4, num_faults=10, num_workers=2)


@pytest.mark.nightly
@pytest.mark.timeout(1200)
def test_thirty_faults_lose_duplicate_or_stall_none_of_ten_jobs(tmp_path: Path, unbroken: Unbroken):
    assert_kept(tmp_path, unbroken, seed=4, num_jobs=10, num_faults=30, num_workers=3)
