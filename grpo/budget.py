"""The length of a run: planned from its spec and data, and limited by its budget."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from grpo.spec.job import JobSpec
from grpo.spec.lifecycle import Budget

SECONDS_PER_HOUR = 3600

# Tokens computed together, padding included.  More are no faster on two cores; a GPU needs more.
TOKEN_BUDGET = {"cpu": 3072, "cuda": 16384}


@dataclass(frozen=True)
class Size:
    """Upper bounds on a run's work, without the groups that replace ties."""

    steps: int
    updates: int
    """Optimizer steps, if every minibatch has a contrast."""
    rollouts: int
    longest_tokens: int
    """Tokens of all prompts and completions, each at its maximum length."""


def size(spec: JobSpec, num_prompts: int) -> Size:
    """Return the size of a run over `num_prompts` training prompts."""
    algorithm, steps = spec.algorithm, total_steps(spec, num_prompts)
    rollouts = steps * algorithm.prompts_per_step * algorithm.group_size
    return Size(
        steps=steps,
        updates=steps * algorithm.minibatches * algorithm.epochs_per_batch,
        rollouts=rollouts,
        longest_tokens=rollouts * (spec.data.max_prompt_tokens + spec.rollout.max_tokens),
    )


def total_steps(spec: JobSpec, num_prompts: int) -> int:
    """Return a run's maximum number of steps, from the budget's epochs, steps and rollouts.

    The last step is completed, so it may exceed the budget slightly.  Steps that replace ties use
    up the rollouts sooner, and time may run out first: see `what_is_spent`.
    """
    budget, algorithm = spec.budget, spec.algorithm
    steps = [math.ceil(budget.epochs * num_prompts / algorithm.prompts_per_step)]
    if budget.max_steps is not None:
        steps.append(budget.max_steps)
    if budget.max_rollouts is not None:
        least_rollouts = algorithm.prompts_per_step * algorithm.group_size
        steps.append(math.ceil(budget.max_rollouts / least_rollouts))
    return min(steps)


def planned_steps(budget: Budget, *, last_step: int, step: int, num_rollouts: int) -> int:
    """Return the run's projected total steps, given `num_rollouts` by the end of `step`.

    If rollouts are limited and ties are replaced, the run ends before `last_step`.
    """
    if budget.max_rollouts is None:
        return last_step
    return min(last_step, max(step, math.ceil(step * budget.max_rollouts / num_rollouts)))


class RunClock:
    """Seconds and GPU seconds of a run, counted from the clock's creation."""

    def __init__(self, *, num_gpus: int, clock: Callable[[], float]) -> None:
        self._num_gpus = num_gpus
        self._clock = clock
        self._counted_at = clock()

    def lap(self) -> tuple[float, float]:
        """Return the seconds since the last call, and these multiplied by the GPUs in use."""
        now = self._clock()
        seconds, self._counted_at = now - self._counted_at, now
        return seconds, self._num_gpus * seconds


def what_is_spent(
    budget: Budget, *, num_rollouts: int, training_seconds: float, gpu_seconds: float
) -> str | None:
    """Name the limit of the budget that has been reached; None: no limit.

    Epochs and steps are not checked here: `total_steps` accounts for them from the start.
    """
    most_rollouts, most_seconds = budget.max_rollouts, budget.max_seconds
    if most_rollouts is not None and num_rollouts >= most_rollouts:
        return f"budget.max_rollouts: {num_rollouts:,} of {most_rollouts:,} drawn"
    if most_seconds is not None and training_seconds >= most_seconds:
        return f"budget.max_seconds: {training_seconds:,.0f} of {most_seconds:,.0f} s used"
    gpu_hours, most_hours = gpu_seconds / SECONDS_PER_HOUR, budget.max_gpu_hours
    if most_hours is not None and gpu_hours >= most_hours:
        return f"budget.max_gpu_hours: {gpu_hours:.2f} of {most_hours:.2f} GPU hours used"
    return None
