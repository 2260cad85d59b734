"""Rewards tried for a request: a few at a time, and for a bounded time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

from api.limits.concurrency import Places
from grpo.rewards.catalogue import python_pointers
from grpo.rewards.reward import Reward
from grpo.rewards.tryout import Tryout, open_tryout
from grpo.spec.resolve import SpecError
from store.settings import Settings

AT_ONCE = 2  # each can keep a core busy
SECONDS_IN_ALL = 10.0


def python_problems(
    rewards: Sequence[Reward], settings: Settings, pointer: str = "/rewards"
) -> list[tuple[str, str]]:
    """Where rewards that are Python code stand, on a server that does not run them."""
    if settings.allow_python_rewards:
        return []
    said = "rewards that are Python code are off on this server (DUET_ALLOW_PYTHON_REWARDS)"
    return [(f"{at}/type", said) for at in python_pointers(rewards, pointer)]


class Trials:
    """A process's places for trying rewards that need processes of their own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._places = Places(
            AT_ONCE,
            code="trials_busy",
            busy="others' rewards are being tried here",
            retry_seconds=SECONDS_IN_ALL,
        )

    @contextmanager
    def open(self, rewards: Sequence[Reward], *, seconds_each: float) -> Iterator[Tryout]:
        """
        Raises:
            SpecError: one is Python code, which is off here.
            Problem: 503 while others' rewards are tried.
        """
        if problems := python_problems(rewards, self._settings):
            raise SpecError(problems)
        all_cheap = all(reward.cheap for reward in rewards)
        with (
            nullcontext() if all_cheap else self._places.take(),
            open_tryout(
                rewards, seconds_each=seconds_each, seconds_in_all=SECONDS_IN_ALL
            ) as tryout,
        ):
            yield tryout
