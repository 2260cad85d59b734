"""Reward trials for requests: limited in number, per project and in all, and in time."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from uuid import UUID

from api.errors.problems import Problem
from api.limits.project_slots import ProjectSlots
from grpo.rewards.catalogue import python_pointers
from grpo.rewards.reward import Reward
from grpo.rewards.service.access import ServiceAccess
from grpo.rewards.tryout import Tryout, open_tryout
from grpo.spec.resolve import SpecError
from grpo.validation.preflight import SECONDS_IN_ALL
from store.settings import Settings

AT_ONCE = 2  # each can keep a core busy
WAIT_SECONDS = 1.0  # for a free slot, in a thread of the shared pool


def python_problems(
    rewards: Sequence[Reward], settings: Settings, pointer: str = "/rewards"
) -> list[tuple[str, str]]:
    """Problem for each reward that is Python code, on a server that does not run Python."""
    if settings.allow_python_rewards:
        return []
    detail = "Python rewards are disabled on this server (DUET_ALLOW_PYTHON_REWARDS)"
    return [(f"{at}/type", detail) for at in python_pointers(rewards, pointer)]


class Trials:
    """Trials of rewards that need separate processes, one at a time per project."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._slots = ProjectSlots(AT_ONCE)

    @contextmanager
    def open(
        self,
        rewards: Sequence[Reward],
        *,
        project_id: UUID,
        seconds_each: float,
        access: ServiceAccess | None = None,
    ) -> Iterator[Tryout]:
        """Open a trial of these rewards.

        Args:
            access: to the services that they call; None: they call none.

        Raises:
            SpecError: a reward is Python code, which is disabled here.
            Problem: 503 while the server is busy testing other rewards, of this project or of
                others.
        """
        if problems := python_problems(rewards, self._settings):
            raise SpecError(problems)
        with ExitStack() as opened:
            if not all(reward.cheap for reward in rewards):
                slot = self._slots.take(project_id, wait_seconds=WAIT_SECONDS)
                if not opened.enter_context(slot):
                    raise _busy()
            yield opened.enter_context(
                open_tryout(
                    rewards, seconds_each=seconds_each, seconds_in_all=SECONDS_IN_ALL, access=access
                )
            )


def _busy() -> Problem:
    detail = "the server is busy testing rewards for other requests: retry shortly"
    headers = {"Retry-After": f"{SECONDS_IN_ALL:.0f}"}
    return Problem(503, "trials_busy", detail, headers=headers)
