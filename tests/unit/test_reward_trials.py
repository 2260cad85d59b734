"""Trials of rewards: one at a time per project."""

from uuid import UUID

import pytest

from api.errors.problems import Problem
from api.limits.reward_trials import Trials
from grpo.spec.resolve import resolve
from store.settings import Settings

OURS, THEIRS = UUID(int=1), UUID(int=2)
SERVICE = resolve({"rewards": [{"type": "http", "url": "https://example.com/grade"}]}).rewards
CHEAP = resolve({"rewards": [{"type": "exact"}]}).rewards


def test_a_project_holds_one_trial_and_no_other_project_waits_for_it():
    settings = Settings(
        database_url="postgresql://x", redis_url="redis://x", artifacts_url="file:///x"
    )  # pyright: ignore[reportCallIssue]
    trials = Trials(settings)
    with trials.open(SERVICE, project_id=OURS, seconds_each=1):
        with (
            pytest.raises(Problem) as refused,
            trials.open(SERVICE, project_id=OURS, seconds_each=1),
        ):
            pass
        with (
            trials.open(SERVICE, project_id=THEIRS, seconds_each=1),
            trials.open(CHEAP, project_id=OURS, seconds_each=1),
        ):
            pass
    assert (refused.value.status, refused.value.code) == (503, "trials_busy")
    assert refused.value.headers == {"Retry-After": "10"}
