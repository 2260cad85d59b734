"""What a run uses of its budget, counted over all of its attempts."""

from collections.abc import Callable
from dataclasses import replace

from grpo.budget import what_is_spent
from grpo.checkpoint.checkpoint import TrainerState
from grpo.spec.lifecycle import Budget


class Spending:
    """Adds time to a trainer's state, from its own making on, and says when a budget is spent."""

    def __init__(self, budget: Budget, *, num_gpus: int, clock: Callable[[], float]) -> None:
        self._budget = budget
        self._num_gpus = num_gpus
        self._clock = clock
        self._counted_at = clock()

    def count(self, state: TrainerState) -> TrainerState:
        """The state with the time since the last call."""
        now = self._clock()
        seconds, self._counted_at = now - self._counted_at, now
        return replace(
            state,
            training_seconds=state.training_seconds + seconds,
            gpu_seconds=state.gpu_seconds + self._num_gpus * seconds,
        )

    def spent(self, state: TrainerState) -> str | None:
        """Which part of the budget is used up, in words; None: none is."""
        return what_is_spent(
            self._budget,
            num_rollouts=state.num_rollouts,
            training_seconds=state.training_seconds,
            gpu_seconds=state.gpu_seconds,
        )
