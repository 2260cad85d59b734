"""Time limit of the costly reward checks of one request."""

from collections.abc import Sequence
from typing import Any

from api.limits.reward_time import SECONDS, TOO_LONG, RewardTime
from grpo.rewards.reward import Reward
from grpo.spec.resolve import resolve


class SlowCheck:
    """A check that takes a given time by its own clock."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.now = 0.0
        self.checked: list[Sequence[Reward]] = []

    def __call__(self, rewards: Sequence[Reward]) -> list[tuple[str, str]]:
        self.now += self.seconds
        self.checked.append(rewards)
        return [("/rewards/0", "wrong")]


def rewards(**written: Any) -> Sequence[Reward]:
    return resolve({"rewards": [written]}, defer_costly=True).rewards


def test_a_request_checks_rewards_until_its_time_is_spent():
    check = SlowCheck(SECONDS / 4)
    budget = RewardTime(check, clock=lambda: check.now)
    found = [budget.problems(rewards(type="regex", pattern=f"a{n}")) for n in range(64)]
    assert found[:4] == [[("/rewards/0", "wrong")]] * 4
    assert found[4:] == [[("/rewards", TOO_LONG)]] * 60
    assert len(check.checked) == 4
    assert "fewer jobs" in TOO_LONG


def test_rewards_without_a_costly_check_need_no_time():
    check = SlowCheck(SECONDS)
    budget = RewardTime(check, clock=lambda: check.now)
    budget.problems(rewards(type="regex", pattern="a"))
    assert budget.problems(rewards(type="exact")) == []
    assert len(check.checked) == 1
