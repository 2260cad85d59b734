"""Checks of a reward's settings whose cost their length does not bound: a pattern to compile, a
schema to check, code to parse.

Where many are served by one process, they are put off and made elsewhere under limits.
"""

from collections.abc import Sequence

from pydantic import ValidationInfo

from grpo.rewards.reward import Reward

CONTEXT = {"costly_checks": "deferred"}
"""Given to pydantic, it puts the costly checks off."""


def is_deferred(info: ValidationInfo) -> bool:
    return bool(info.context) and info.context.get("costly_checks") == "deferred"


def costly(rewards: Sequence[Reward]) -> list[Reward]:
    """Return the rewards that have a deferred check."""
    return [reward for reward in rewards if reward.costly_to_check]
