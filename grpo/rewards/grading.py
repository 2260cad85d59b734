"""Scoring of one completion by one reward: a number, or the reason for a failure."""

import math
from dataclasses import dataclass

from grpo.rewards.reward import Case, Reward


@dataclass(frozen=True)
class Failed:
    """A failed score with its cause.

    `timed_out`: due to the completion, not to the reward; `outage`: a service was away.
    """

    cause: str
    timed_out: bool = False
    outage: bool = False


def grade(reward: Reward, case: Case) -> float | Failed:
    """Return the reward's finite score; anything else is a failure."""
    try:
        value = float(reward.score(case))
    except Exception as error:  # noqa: BLE001 - recorded as this completion's failure
        return Failed(str(error) or type(error).__name__)
    return value if math.isfinite(value) else Failed(f"its score is {value}")


def check_answer(reward: Reward, case: Case) -> Failed | None:
    """Return the reason why no completion of a case could be scored, or None."""
    try:
        reward.check_answer(case)
    except Exception as error:  # noqa: BLE001 - reported as an unusable row
        return Failed(str(error) or type(error).__name__)
    return None
