"""Trial of rewards on a few completions before a job is submitted, in bounded time."""

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
    from grpo.rewards.service.access import ServiceAccess

Clock = Callable[[], float]


@dataclass(frozen=True)
class Trial:
    """A score or a failure, and the time taken [s]; None if not started."""

    outcome: float | Failed
    seconds: float | None

    @property
    def score(self) -> float | None:
        return None if isinstance(self.outcome, Failed) else self.outcome

    @property
    def error(self) -> str | None:
        return self.outcome.cause if isinstance(self.outcome, Failed) else None


class Tryout:
    """Rewards as in the trainer: cheap ones in this process, the others in a killable one.

    No trial starts after the time is up, nor with a reward that already exceeded its share, which
    would use up the time of the others.
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
        """Failures of rewards that cannot be loaded or took too long, by reward number."""
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

    def score_all(self, number: int, cases: Sequence[Case]) -> list[Trial]:
        """Score completions by reward `number`; a service has all of them in one time limit."""
        if not self.rewards[number].remote:
            return [self.score(number, case) for case in cases]
        began = self._clock()
        limit = self._ends_at - began
        if limit <= 0:
            return [Trial(self._too_late, None)] * len(cases)
        assert self._pool is not None
        outcomes = self._pool.grade_together(number, cases, seconds=limit)
        seconds = self._clock() - began
        return [Trial(outcome, seconds) for outcome in outcomes]

    @property
    def _too_late(self) -> Failed:
        return Failed(f"not tried: the {self.seconds_in_all:.3g} s for all trials were used up")

    def _load(self, number: int) -> None:
        seconds = min(self._seconds_each, self._ends_at - self._clock())
        if number in self._loaded or number in self._unusable or seconds <= 0:
            return
        assert self._pool is not None
        try:
            self._pool.prepare(number, seconds=seconds)
        except Exception as error:  # noqa: BLE001 - reported as this reward's failure
            self._unusable[number] = Failed(_why_unusable(error))
        else:
            self._loaded.add(number)


@contextmanager
def open_tryout(
    rewards: Sequence[Reward],
    *,
    seconds_each: float,
    seconds_in_all: float,
    access: "ServiceAccess | None" = None,
    clock: Clock = time.monotonic,
) -> Iterator[Tryout]:
    """Yield a tryout, and end its processes.

    Args:
        access: to the services that the rewards call; None: there are none.
        seconds_each: limit of one score, and at most the reward's share of the total.
    """
    if access is not None:
        from grpo.rewards.service.parts import with_access

        rewards = [with_access(reward, access) for reward in rewards]
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
            return f"it can only be tried on a machine with {error.name}, such as a worker"
        case SandboxUnavailable():
            return f"this machine cannot isolate its code: {error}"
        case TimeoutError():
            return "it was not loaded in time"
        case _:
            return f"it cannot be loaded: {str(error) or type(error).__name__}"
