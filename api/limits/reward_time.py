"""Time limit of all costly reward checks of one request."""

import time
from collections.abc import Callable, Sequence

from grpo.rewards.reward import Reward

SECONDS = 20.0
"""In all; a sweep's jobs have the same rewards, or some that take milliseconds."""
TOO_LONG = (
    f"the different rewards of this request take more than {SECONDS:g} s in all to check: simplify "
    "their patterns, schemas, formulas and code, or submit fewer jobs with rewards of their own "
    "in one request"
)

Problems = list[tuple[str, str]]


class RewardTime:
    """Checks rewards until the request's time is spent, and refuses the others.

    `check`: the problems of one spec's rewards; `clock`: monotonic seconds.
    """

    def __init__(
        self,
        check: Callable[[Sequence[Reward]], Problems],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._check = check
        self._clock = clock
        self._seconds_left = SECONDS

    def problems(self, rewards: Sequence[Reward]) -> Problems:
        """Return the problems of one spec's rewards; a check that has begun is completed."""
        if not any(reward.costly_to_check for reward in rewards):
            return []
        if self._seconds_left <= 0:
            return [("/rewards", TOO_LONG)]
        began = self._clock()
        found = self._check(rewards)
        self._seconds_left -= self._clock() - began
        return found
