"""Every reward type a spec can name."""

from typing import Annotated

from pydantic import Field

from grpo.rewards.exact import ExactReward
from grpo.rewards.number import NumberReward

AnyReward = Annotated[ExactReward | NumberReward, Field(discriminator="type")]

REWARD_TYPES = {"exact": ExactReward, "number": NumberReward}
