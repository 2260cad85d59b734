"""One reward on one completion: a number, or why there is none."""

import math
from dataclasses import dataclass

from grpo.rewards.reward import Case, Reward


@dataclass(frozen=True)
class Failed:
    """No score, and why.  `timed_out`: it took too long, which is the completion's fault."""

    cause: str
    timed_out: bool = False


def grade(reward: Reward, case: Case) -> float | Failed:
    """The reward's finite score; whatever else comes of it has failed."""
    try:
        value = float(reward.score(case))
    except Exception as error:  # noqa: BLE001 - a failure of this completion's, kept with its cause
        return Failed(str(error) or type(error).__name__)
    return value if math.isfinite(value) else Failed(f"its score is {value}")


def check_answer(reward: Reward, case: Case) -> Failed | None:
    """Why the reward could score no completion of a case; None: it can."""
    try:
        reward.check_answer(case)
    except Exception as error:  # noqa: BLE001 - told as a row that cannot be used
        return Failed(str(error) or type(error).__name__)
    return None
