"""How long a run is."""

from typing import Any

import pytest

from grpo.plan import total_steps
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
