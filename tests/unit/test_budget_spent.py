"""The part of its budget that a run has used."""

import pytest

from grpo.budget import RunClock, what_is_spent
from grpo.spec.lifecycle import Budget


class Clock:
    now = 500.0

    def __call__(self) -> float:
        return self.now


def test_time_is_counted_from_the_making_on_and_once():
    clock = Clock()
    run_clock = RunClock(num_gpus=2, clock=clock)
    clock.now += 30
    assert run_clock.lap() == (30, 60)
    assert run_clock.lap() == (0, 0)


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        ({}, None),
        ({"max_rollouts": 4097}, None),
        ({"max_rollouts": 4096}, "budget.max_rollouts: 4,096 of 4,096 drawn"),
        ({"max_seconds": 5401}, None),
        ({"max_seconds": 5400}, "budget.max_seconds: 5,400 of 5,400 s used"),
        ({"max_gpu_hours": 3.01}, None),  # an hour and a half on two
        ({"max_gpu_hours": 3}, "budget.max_gpu_hours: 3.00 of 3.00 GPU hours used"),
    ],
)
def test_a_budget_is_spent_once_it_is_reached(budget: dict[str, float], reason: str | None):
    spent = what_is_spent(
        Budget.model_validate(budget),
        num_rollouts=4096,
        training_seconds=5400,
        gpu_seconds=10_800,
    )
    assert spent == reason
