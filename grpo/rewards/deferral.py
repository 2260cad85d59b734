"""Checks of a reward's settings whose cost is not bounded by the settings' length: compiling a
pattern, checking a schema, parsing code.

A process that serves many users defers them to another process with limits.
"""

from collections.abc import Sequence

from pydantic import ValidationInfo

from grpo.rewards.reward import Reward

CONTEXT = {"costly_checks": "deferred"}
"""Validation context for pydantic that defers the costly checks."""


def is_deferred(info: ValidationInfo) -> bool:
    return bool(info.context) and info.context.get("costly_checks") == "deferred"


def costly(rewards: Sequence[Reward]) -> list[Reward]:
    """Return the rewards that have a deferred check."""
    return [reward for reward in rewards if reward.costly_to_check]
