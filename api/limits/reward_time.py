"""Time limit of all costly reward checks of one request."""

import time
from collections.abc import Callable, Sequence

from grpo.rewards.reward import Reward

SECONDS = 20.0
"""In total; a sweep's jobs usually share their rewards, or have rewards that take milliseconds."""
TOO_LONG = (
    f"the distinct rewards of this request take more than {SECONDS:g} s to check: simplify "
    "their patterns, schemas, formulas and code, or submit fewer jobs with distinct rewards "
    "in one request"
)

Problems = list[tuple[str, str]]


class RewardTime:
    """Checks rewards until the request's time is used up, and refuses the rest.

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
        """Return the problems of one spec's rewards; a check that has started is completed."""
        if not any(reward.costly_to_check for reward in rewards):
            return []
        if self._seconds_left <= 0:
            return [("/rewards", TOO_LONG)]
        began = self._clock()
        found = self._check(rewards)
        self._seconds_left -= self._clock() - began
        return found
