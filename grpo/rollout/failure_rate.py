"""The share of scores that failed in the last steps."""

from collections import deque
from collections.abc import Iterable

STEPS = 20
LEAST_FAILURES = 5
"""Minimum number of failures to blame the reward, however small the steps are."""


class FailureRate:
    """Failures among the completions of the last steps."""

    def __init__(self, steps: Iterable[tuple[int, int]] = ()) -> None:
        """`steps`: counts of the run that this one resumes."""
        self._steps: deque[tuple[int, int]] = deque(steps, maxlen=STEPS)

    @property
    def steps(self) -> tuple[tuple[int, int], ...]:
        """The numbers of failed and scored completions in each of the last steps."""
        return tuple(self._steps)

    def add(self, *, num_failed: int, num_scored: int) -> None:
        self._steps.append((num_failed, num_scored))

    @property
    def value(self) -> float:
        num_scored = sum(scored for _, scored in self._steps)
        return self.num_failed / num_scored if num_scored else 0.0

    @property
    def num_failed(self) -> int:
        return sum(failed for failed, _ in self._steps)

    def is_above(self, share: float) -> bool:
        return self.num_failed >= LEAST_FAILURES and self.value > share
