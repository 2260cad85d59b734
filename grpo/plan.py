"""How long a run is, from its spec and the size of its data."""

import math

from grpo.spec.job import JobSpec


def total_steps(spec: JobSpec, num_prompts: int) -> int:
    """Steps until the budget is spent: its epochs over the prompts, or its steps if fewer.

    The last step of the last epoch is whole, so it may go a little beyond.
    """
    steps = math.ceil(spec.budget.epochs * num_prompts / spec.algorithm.prompts_per_step)
    return steps if spec.budget.max_steps is None else min(steps, spec.budget.max_steps)
