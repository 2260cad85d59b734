"""Reward trials for requests: limited in number and in time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

from api.limits.concurrency import ConcurrencyLimit
from grpo.rewards.catalogue import python_pointers
from grpo.rewards.reward import Reward
from grpo.rewards.service.access import ServiceAccess
from grpo.rewards.tryout import Tryout, open_tryout
from grpo.spec.resolve import SpecError
from grpo.validation.preflight import SECONDS_IN_ALL
from store.settings import Settings

AT_ONCE = 2  # each can keep a core busy


def python_problems(
    rewards: Sequence[Reward], settings: Settings, pointer: str = "/rewards"
) -> list[tuple[str, str]]:
    """Problem for each reward that is Python code, on a server that does not run Python."""
    if settings.allow_python_rewards:
        return []
    detail = "Python rewards are disabled on this server (DUET_ALLOW_PYTHON_REWARDS)"
    return [(f"{at}/type", detail) for at in python_pointers(rewards, pointer)]


class Trials:
    """Trials of rewards that need separate processes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._limit = ConcurrencyLimit(
            AT_ONCE,
            code="trials_busy",
            busy="the server is busy testing rewards for other requests",
            retry_seconds=SECONDS_IN_ALL,
        )

    @contextmanager
    def open(
        self,
        rewards: Sequence[Reward],
        *,
        seconds_each: float,
        access: ServiceAccess | None = None,
    ) -> Iterator[Tryout]:
        """Open a trial of these rewards.

        Args:
            access: to the services that they call; None: they call none.

        Raises:
            SpecError: a reward is Python code, which is disabled here.
            Problem: 503 while the server is busy testing other rewards.
        """
        if problems := python_problems(rewards, self._settings):
            raise SpecError(problems)
        all_cheap = all(reward.cheap for reward in rewards)
        with (
            nullcontext() if all_cheap else self._limit.take(),
            open_tryout(
                rewards, seconds_each=seconds_each, seconds_in_all=SECONDS_IN_ALL, access=access
            ) as tryout,
        ):
            yield tryout
