"""Rewards tried on a few completions before a job is made of them, in a bounded time."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grpo.rewards.grading import Failed, grade
from grpo.rewards.reward import Case, Reward
from grpo.rewards.sandbox.sandbox import SandboxUnavailable

if TYPE_CHECKING:
    from grpo.rewards.pool import RewardPool

Clock = Callable[[], float]


@dataclass(frozen=True)
class Trial:
    """A score, or why there is none, and how long it took [s]; None: it was not begun."""

    outcome: float | Failed
    seconds: float | None

    @property
    def score(self) -> float | None:
        return None if isinstance(self.outcome, Failed) else self.outcome

    @property
    def error(self) -> str | None:
        return self.outcome.cause if isinstance(self.outcome, Failed) else None


class Tryout:
    """Rewards as a trainer has them: cheap ones here, the others in a process that can be killed.

    What is not done when the time is up is not begun any more.  Nor is a reward that once took
    longer than its share: it would take the others' time.
    """

    def __init__(
        self,
        rewards: Sequence[Reward],
        *,
        pool: "RewardPool | None",
        seconds_each: float,
        seconds_in_all: float,
        clock: Clock,
    ) -> None:
        self.rewards = tuple(rewards)
        self.seconds_in_all = seconds_in_all
        self._pool = pool
        self._seconds_each = seconds_each
        self._ends_at = clock() + seconds_in_all
        self._clock = clock
        self._unusable: dict[int, Failed] = {}
        """Rewards that cannot be loaded, or take too long, by their number."""
        self._loaded: set[int] = set()

    def score(self, number: int, case: Case) -> Trial:
        """Score a completion by reward `number`."""
        reward = self.rewards[number]
        if not reward.cheap:
            self._load(number)
        if number in self._unusable:
            return Trial(self._unusable[number], None)
        began = self._clock()
        limit = min(self._seconds_each, self._ends_at - began)
        if limit <= 0:
            return Trial(self._too_late, None)
        if reward.cheap:
            return Trial(grade(reward, case), self._clock() - began)
        assert self._pool is not None
        (outcome,) = self._pool.grade([(number, case)], seconds=limit)
        seconds = self._clock() - began
        if isinstance(outcome, Failed) and seconds >= limit:
            self._unusable[number] = outcome
        return Trial(outcome, seconds)

    @property
    def _too_late(self) -> Failed:
        return Failed(f"not tried: the {self.seconds_in_all:.3g} s for all of it were over")

    def _load(self, number: int) -> None:
        seconds = min(self._seconds_each, self._ends_at - self._clock())
        if number in self._loaded or number in self._unusable or seconds <= 0:
            return
        assert self._pool is not None
        try:
            self._pool.prepare(number, seconds=seconds)
        except Exception as error:  # noqa: BLE001 - told as this reward's own failure
            self._unusable[number] = Failed(_why_unusable(error))
        else:
            self._loaded.add(number)


@contextmanager
def open_tryout(
    rewards: Sequence[Reward],
    *,
    seconds_each: float,
    seconds_in_all: float,
    clock: Clock = time.monotonic,
) -> Iterator[Tryout]:
    """Leaves no process behind.

    Args:
        seconds_each: one score at most, and no more than the reward's share of it all.
    """
    pool, num_dear = None, sum(not reward.cheap for reward in rewards)
    if num_dear:
        from grpo.rewards.pool import RewardPool

        pool = RewardPool(rewards, processes=1, seconds=seconds_each)
    try:
        yield Tryout(
            rewards,
            pool=pool,
            seconds_each=min(seconds_each, seconds_in_all / (num_dear + 1)),
            seconds_in_all=seconds_in_all,
            clock=clock,
        )
    finally:
        if pool is not None:
            pool.close()


def _why_unusable(error: Exception) -> str:
    match error:
        case ModuleNotFoundError():
            return f"it can only be tried where {error.name} is installed, as on a worker"
        case SandboxUnavailable():
            return f"this machine cannot isolate its code: {error}"
        case TimeoutError():
            return "it was not loaded in time"
        case _:
            return f"it cannot be loaded: {str(error) or type(error).__name__}"
