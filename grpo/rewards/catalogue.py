"""Every reward type a spec can name."""

from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import Field

from grpo.rewards.multi import MultiReward
from grpo.rewards.reward import Reward
from grpo.rewards.service.access import NamedSecret
from grpo.rewards.service.service_reward import ServiceReward
from grpo.rewards.single import SINGLE_TYPES, SingleReward

AnyReward = Annotated[SingleReward | MultiReward, Field(discriminator="type")]

REWARD_TYPES = {**SINGLE_TYPES, "multi": MultiReward}


def secrets_named(rewards: Sequence[Reward], pointer: str = "/rewards") -> list[NamedSecret]:
    """Return the secrets that rewards name."""
    return [
        NamedSecret(f"{at}/{field}", name, reward.host if reward.sends_secret else None)
        for at, reward in _services(rewards, pointer)
        for field, name in reward.secrets.items()
    ]


def urls_named(rewards: Sequence[Reward], pointer: str = "/rewards") -> list[tuple[str, str]]:
    """Return the addresses that rewards call, each with its field."""
    return [(f"{at}/url", reward.url) for at, reward in _services(rewards, pointer)]


def _services(rewards: Sequence[Reward], pointer: str) -> Iterator[tuple[str, ServiceReward]]:
    for index, reward in enumerate(rewards):
        here = f"{pointer}/{index}"
        if isinstance(reward, MultiReward):
            yield from _services(reward.rewards, f"{here}/rewards")
        elif isinstance(reward, ServiceReward):
            yield here, reward


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
