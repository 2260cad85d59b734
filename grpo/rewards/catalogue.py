"""Every reward type a spec can name."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from grpo.rewards.multi import MultiReward
from grpo.rewards.reward import Reward
from grpo.rewards.single import SINGLE_TYPES, SingleReward

AnyReward = Annotated[SingleReward | MultiReward, Field(discriminator="type")]

REWARD_TYPES = {**SINGLE_TYPES, "multi": MultiReward}


def python_pointers(rewards: Sequence[Reward], pointer: str = "/rewards") -> list[str]:
    """Fields of a spec that hold the author's own code."""
    found: list[str] = []
    for index, reward in enumerate(rewards):
        here = f"{pointer}/{index}"
        if isinstance(reward, MultiReward):
            found += python_pointers(reward.rewards, f"{here}/rewards")
        elif reward.runs_python:
            found.append(here)
    return found
