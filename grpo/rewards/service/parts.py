"""The parts of a spec's rewards that services compute: rewards, and members of a `multi`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from grpo.rewards.grading import Failed, grade
from grpo.rewards.multi import MultiReward
from grpo.rewards.reward import Case, Reward
from grpo.rewards.service.access import ServiceAccess
from grpo.rewards.service.kept_scores import KeptScores
from grpo.rewards.service.scores import Outcomes, ServiceScores
from grpo.rewards.service.service_reward import ServiceReward

Place = tuple[int, str | None]
"""Number of a reward, and the name of a member of a `multi`."""


def service_parts(rewards: Sequence[Reward]) -> dict[Place, ServiceReward]:
    """Return the rewards that services compute, by their places."""
    found: dict[Place, ServiceReward] = {}
    for number, reward in enumerate(rewards):
        if isinstance(reward, ServiceReward):
            found[number, None] = reward
        elif isinstance(reward, MultiReward):
            members = (each for each in reward.rewards if isinstance(each, ServiceReward))
            found |= {(number, member.part): member for member in members}
    return found


def with_access(reward: Reward, access: ServiceAccess) -> Reward:
    """Return a reward whose parts have access to their services."""
    if isinstance(reward, ServiceReward):
        return reward.with_access(access)
    if isinstance(reward, MultiReward):
        members = [with_access(member, access) for member in reward.rewards]
        return reward.model_copy(update={"rewards": members})
    return reward


class ServiceParts:
    """Scores of all parts that services compute."""

    def __init__(
        self, rewards: Sequence[Reward], access: ServiceAccess, *, kept: KeptScores | None
    ) -> None:
        """
        Raises:
            SecretMissing: a reward's secret is not there, or cannot be used.
        """
        parts = service_parts(rewards)
        self._places = list(parts)
        self._scores = ServiceScores(list(parts.values()), access, kept=kept)

    def start(self, cases: Sequence[Case]) -> Callable[[], dict[Place, Outcomes]]:
        """Ask for all scores of some cases; return a function that waits for them."""
        waiting = [self._scores.start(number, cases) for number in range(len(self._places))]
        return lambda: {place: wait() for place, wait in zip(self._places, waiting, strict=True)}

    def take_metrics(self) -> dict[str, float]:
        """Return what was asked since the last call."""
        return self._scores.take_metrics()

    def close(self) -> None:
        self._scores.close()


def with_given(
    cases: Sequence[Case], number: int, outcomes: Mapping[Place, Outcomes]
) -> list[Case | Failed]:
    """Return cases with the scores of a `multi`'s parts, or the first part's failure."""
    of_parts = {
        part: found for (of, part), found in outcomes.items() if of == number and part is not None
    }
    given: list[Case | Failed] = []
    for place, case in enumerate(cases):
        scores: dict[str, float] = {}
        failed: Failed | None = None
        for part, found in of_parts.items():
            score = found[place]
            if isinstance(score, Failed):
                failed = failed or replace(score, cause=f"{part}: {score.cause}")
            else:
                scores[part] = score
        given.append(failed or replace(case, given=scores))
    return given


def grade_together(reward: Reward, cases: Sequence[Case]) -> Outcomes:
    """Score cases by a reward `with_access`."""
    if isinstance(reward, ServiceReward):
        return reward.score_all(cases)
    assert isinstance(reward, MultiReward)
    outcomes: dict[Place, Outcomes] = {
        (0, member.part): member.score_all(cases)
        for member in reward.rewards
        if isinstance(member, ServiceReward)
    }
    return [
        each if isinstance(each, Failed) else grade(reward, each)
        for each in with_given(cases, 0, outcomes)
    ]
