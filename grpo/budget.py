"""How long a run is: from its spec and its data beforehand, from what it has used on the way."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from grpo.spec.job import JobSpec
from grpo.spec.lifecycle import Budget

SECONDS_PER_HOUR = 3600

# Tokens computed together, padding included.  On two cores more gains nothing; a GPU wants more.
TOKEN_BUDGET = {"cpu": 3072, "cuda": 16384}


@dataclass(frozen=True)
class Size:
    """How much a run does at most, groups that are drawn again for ties left out."""

    steps: int
    updates: int
    """Optimizer steps, where every minibatch has a contrast."""
    rollouts: int
    longest_tokens: int
    """Of all prompts and completions, each as long as allowed."""


def size(spec: JobSpec, num_prompts: int) -> Size:
    """What a spec comes to over so many training prompts."""
    algorithm, steps = spec.algorithm, total_steps(spec, num_prompts)
    rollouts = steps * algorithm.prompts_per_step * algorithm.group_size
    return Size(
        steps=steps,
        updates=steps * algorithm.minibatches * algorithm.epochs_per_batch,
        rollouts=rollouts,
        longest_tokens=rollouts * (spec.data.max_prompt_tokens + spec.rollout.max_tokens),
    )


def total_steps(spec: JobSpec, num_prompts: int) -> int:
    """Steps at most: the budget's epochs over the prompts, its steps or its rollouts if fewer.

    The last step is whole, so it may go a little beyond.  Steps that draw again for ties use up the
    rollouts sooner, and time may be over before: see `what_is_spent`.
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
    """Steps of the run in all, at the rollouts a step so far: `num_rollouts` by the end of `step`.

    Where rollouts are bounded and ties are drawn anew, the run is over before `last_step`.
    """
    if budget.max_rollouts is None:
        return last_step
    return min(last_step, max(step, math.ceil(step * budget.max_rollouts / num_rollouts)))


class RunClock:
    """Seconds and GPU seconds of a run, from its making on."""

    def __init__(self, *, num_gpus: int, clock: Callable[[], float]) -> None:
        self._num_gpus = num_gpus
        self._clock = clock
        self._counted_at = clock()

    def lap(self) -> tuple[float, float]:
        """Return the seconds since the last call, and the same times the GPUs in use."""
        now = self._clock()
        seconds, self._counted_at = now - self._counted_at, now
        return seconds, self._num_gpus * seconds


def what_is_spent(
    budget: Budget, *, num_rollouts: int, training_seconds: float, gpu_seconds: float
) -> str | None:
    """Which part of a budget has been used up, in words; None: none has.

    Epochs and steps are no part of it: `total_steps` knows them from the start.
    """
    most_rollouts, most_seconds = budget.max_rollouts, budget.max_seconds
    if most_rollouts is not None and num_rollouts >= most_rollouts:
        return f"budget.max_rollouts: {num_rollouts:,} of {most_rollouts:,} drawn"
    if most_seconds is not None and training_seconds >= most_seconds:
        return f"budget.max_seconds: {training_seconds:,.0f} of {most_seconds:,.0f} s are over"
    gpu_hours, most_hours = gpu_seconds / SECONDS_PER_HOUR, budget.max_gpu_hours
    if most_hours is not None and gpu_hours >= most_hours:
        return f"budget.max_gpu_hours: {gpu_hours:.2f} of {most_hours:.2f} GPU hours are over"
    return None
