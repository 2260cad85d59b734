"""Length of a run."""

import math
from typing import Any

import pytest

from grpo.budget import planned_steps, size, total_steps
from grpo.spec.lifecycle import Budget
from grpo.spec.resolve import resolve


@pytest.mark.parametrize(
    ("budget", "num_prompts", "steps"),
    [
        ({"epochs": 1}, 1024, 4),
        ({"epochs": 1}, 1025, 5),  # the last step goes a little beyond
        ({"epochs": 0.5}, 1024, 2),
        ({"epochs": 10}, 7500, 293),  # the paper's 2-GRPO: 75,000 prompts in steps of 256
        ({"epochs": 10, "max_steps": 12}, 7500, 12),
        ({"epochs": 1, "max_steps": 12}, 512, 2),
        ({"epochs": 1}, 3, 1),
        ({"epochs": 10, "max_rollouts": 5120}, 7500, 10),  # 512 a step
        ({"epochs": 10, "max_rollouts": 5121}, 7500, 11),
        ({"epochs": 10, "max_rollouts": 5121, "max_steps": 4}, 7500, 4),
    ],
)
def test_a_run_ends_with_its_epochs_its_steps_or_its_rollouts_whichever_comes_first(
    budget: dict[str, Any], num_prompts: int, steps: int
):
    assert total_steps(resolve({"budget": budget}), num_prompts) == steps


@pytest.mark.parametrize(("preset", "rollouts"), [("2-grpo", 150_016), ("16-grpo", 1_200_128)])
def test_the_papers_two_runs_over_75000_prompts(preset: str, rollouts: int):
    """0.15 and 1.2 million rollouts; the last step is whole: 293 x 512, 2344 x 512."""
    found = size(resolve({"preset": preset, "budget": {"epochs": 10}}), 7500)
    assert (found.rollouts, found.steps * 512) == (rollouts, rollouts)
    assert found.updates == found.steps


def test_updates_and_the_longest_texts_are_counted():
    spec = resolve(
        {
            "algorithm": {"prompts_per_step": 8, "minibatches": 4, "epochs_per_batch": 2},
            "data": {"max_prompt_tokens": 10},
            "rollout": {"max_tokens": 20},
            "budget": {"max_steps": 3},
        }
    )
    found = size(spec, 1000)
    assert (found.steps, found.updates, found.rollouts) == (3, 24, 48)
    assert found.longest_tokens == 48 * 30


@pytest.mark.parametrize("drawn", [64, 100, 128])
def test_a_schedule_ends_where_max_rollouts_ends_the_run(drawn: int):
    """Return progress with 32 x 2 rollouts per step; `drawn` with resampled ties."""
    budget = Budget(max_rollouts=6400)
    planned = [
        planned_steps(budget, last_step=100, step=step, num_rollouts=step * drawn)
        for step in range(1, 101)
    ]
    last = math.ceil(6400 / drawn)
    assert planned[: last - 1] == [last] * (last - 1)
    assert planned[last - 1] == last
    assert planned_steps(Budget(), last_step=100, step=1, num_rollouts=drawn) == 100
