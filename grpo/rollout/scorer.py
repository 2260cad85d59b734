"""A completion's reward: the weighted sum of its parts, or the part that failed."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from grpo.data.prompts import Prompt
from grpo.errors import RunError
from grpo.rewards.grading import Failed, check_answer, grade
from grpo.rewards.multi import MultiReward
from grpo.rewards.reward import Case, Reward, judges
from grpo.rewards.sandbox.sandbox import SandboxUnavailable
from grpo.rewards.service.access import ANY_ADDRESS, SecretMissing, ServiceAccess
from grpo.rewards.service.kept_scores import KeptScores
from grpo.rewards.service.parts import Place, ServiceParts, with_given
from grpo.rewards.service.scores import Outcomes
from grpo.rewards.service.service_reward import ServiceReward
from grpo.spec.algorithm import Overlong
from grpo.spec.rollout import Scoring

if TYPE_CHECKING:
    from grpo.rewards.pool import RewardPool

MOST_PROCESSES = 32  # by default
FULL_MARK = 1 - 1e-9
"""0.7 + 0.2 + 0.1 is a little less than 1."""


@dataclass(frozen=True)
class Candidate:
    """A completion to score: its text, cut before a stop string, and its length.

    `step`: of training; None: an evaluation.  `draw`: which of the prompt's groups in the step.
    """

    text: str
    num_tokens: int
    prompt: Prompt
    step: int | None = None
    draw: int = 0


@dataclass(frozen=True)
class Score:
    """`parts` are the rewards by name, before their weights; a part without a weight is not in the
    total."""

    total: float
    parts: dict[str, float]
    weights: Mapping[str, float] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class ScoreFailure:
    """A completion without a score: the reward `part` failed on the data's row `row`."""

    part: str
    row: int
    cause: str
    timed_out: bool = False
    outage: bool = False

    @property
    def message(self) -> str:
        return f"the reward {self.part!r} failed on a completion of row {self.row}: {self.cause}"


class Scorer:
    """Scores completions: cheap rewards in this process, the others in processes that can be
    killed."""

    def __init__(
        self,
        rewards: Sequence[Reward],
        scoring: Scoring,
        *,
        allow_python: bool = False,
        access: ServiceAccess | None = None,
        kept: KeptScores | None = None,
    ) -> None:
        """
        Args:
            access: to services; None: any address, and no secret.
            kept: scores of services known from before.

        Raises:
            RunError: `python_not_allowed`, `secret_missing`, `sandbox_unavailable`, or
                `reward_failed` where a reward cannot even be loaded.
        """
        self._rewards = tuple(rewards)
        self._weights = {reward.part: reward.weight for reward in rewards}
        _refuse_python(rewards, allowed=allow_python)
        self._services = _open_services(rewards, access or ServiceAccess(ANY_ADDRESS), kept)
        self._pool = _open_pool(self._rewards, scoring)
        self.executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scores")
        """The thread that scores completions while others are drawn."""

    def score(self, candidates: Sequence[Candidate]) -> list[Score | ScoreFailure]:
        """Return scores in the candidates' order.  A failure does not affect the others."""
        by_reward = self._grades(candidates)
        return [
            self._total(candidate, [grades[index] for grades in by_reward])
            for index, candidate in enumerate(candidates)
        ]

    def check_answers(self, prompts: Sequence[Prompt]) -> list[str | None]:
        """Return for each prompt the reason why no completion of it can be scored, or None."""
        cases = [_case(Candidate("", 0, prompt)) for prompt in prompts]
        causes: list[str | None] = [None] * len(cases)
        for number, reward in enumerate(self._rewards):
            if not reward.checks_answer:
                continue
            left = [index for index, cause in enumerate(causes) if cause is None]
            if reward.cheap or self._pool is None:
                failures = (check_answer(reward, cases[index]) for index in left)
                found = [failure and failure.cause for failure in failures]
            else:
                found = self._pool.check_answers([(number, cases[index]) for index in left])
            for index, cause in zip(left, found, strict=True):
                causes[index] = cause and f"the reward {reward.part!r}: {cause}"
        return causes

    def answers(self, texts: Sequence[str]) -> list[str | None]:
        """Return the final answer in each completion's text, normalized so that equal answers are
        equal strings, as extracted by the first reward that can; None: no answer."""
        giving = [n for n, reward in enumerate(self._rewards) if reward.gives_answers]
        if not giving:
            return [None] * len(texts)
        reward = self._rewards[giving[0]]
        if self._pool is None or reward.cheap:
            return [reward.answer_of(text) for text in texts]
        return self._pool.answers([(giving[0], text) for text in texts])

    def close(self) -> None:
        """End the scoring processes and threads."""
        self._services.close()
        if self._pool is not None:
            self._pool.close()
        self.executor.shutdown()

    def take_metrics(self) -> dict[str, float]:
        """Return the metrics of services since the last call."""
        return self._services.take_metrics()

    def _grades(self, candidates: Sequence[Candidate]) -> list[list[float | Failed]]:
        """Return each reward's score of each candidate; services and the pool get all of their
        work at once."""
        cases = [_case(candidate) for candidate in candidates]
        wait = self._services.start(cases)
        local = iter(list(self._local_grades(cases)))  # while the services are asked
        asked = wait()
        return [
            self._remote_grades(number, cases, asked) if reward.remote else next(local)
            for number, reward in enumerate(self._rewards)
        ]

    def _remote_grades(
        self, number: int, cases: Sequence[Case], asked: Mapping[Place, Outcomes]
    ) -> Outcomes:
        """Return the scores of a reward that services compute, alone or in part."""
        reward = self._rewards[number]
        if isinstance(reward, ServiceReward):
            return asked[number, None]
        given = with_given(cases, number, asked)
        left = [case for case in given if isinstance(case, Case)]
        if self._pool is None:
            found = iter([grade(reward, case) for case in left])
        else:
            found = iter(self._pool.grade([(number, case) for case in left]))
        return [next(found) if isinstance(case, Case) else case for case in given]

    def _local_grades(self, cases: Sequence[Case]) -> Iterator[Outcomes]:
        """Yield the scores of each reward that no service computes."""
        # Rows can be long, and few of the rewards in the pool read them.
        bare = [replace(case, fields={}, messages=()) for case in cases]
        pooled = [number for number, reward in enumerate(self._rewards) if _is_pooled(reward)]
        tasks = [
            (number, case)
            for number in pooled
            for case in (cases if self._rewards[number].reads_row else bare)
        ]
        graded = iter(self._pool.grade(tasks) if self._pool is not None else ())
        for reward in self._rewards:
            if reward.cheap:
                yield [grade(reward, case) for case in cases]
            elif not reward.remote:
                yield list(islice(graded, len(cases)))

    def _total(
        self, candidate: Candidate, grades: Sequence[float | Failed]
    ) -> Score | ScoreFailure:
        parts: dict[str, float] = {}
        total = 0.0
        for reward, graded in zip(self._rewards, grades, strict=True):
            if isinstance(graded, Failed):
                return ScoreFailure(
                    reward.part,
                    candidate.prompt.row,
                    graded.cause,
                    graded.timed_out,
                    graded.outage,
                )
            parts[reward.part] = graded
            total += reward.weight * graded
        if not math.isfinite(total):
            return ScoreFailure("total", candidate.prompt.row, f"the weighted sum is {total}")
        return Score(total, parts, self._weights)


def too_many_failed(failures: Sequence[ScoreFailure], message: str, *, hint: str) -> RunError:
    """Return the error of a run that failures end; a service that was away may be back later."""
    away = all(failure.outage for failure in failures if not failure.timed_out)
    if away:
        hint = (
            "See whether the reward's service is up, and whether its limits are above the spec's."
        )
    return RunError("reward_unavailable" if away else "reward_failed", message, hint=hint)


def is_right(rewards: Sequence[Reward], score: Score) -> bool | None:
    """Whether every reward that judges correctness gives its full mark of 1.

    None: no reward judges correctness.
    """
    judging = judges(rewards)
    if not judging:
        return None
    return all(score.parts[reward.part] >= FULL_MARK for reward in judging)


def overlong_penalty(num_tokens: int, *, max_tokens: int, overlong: Overlong) -> float:
    """DAPO's soft overlong penalty, added to the reward (arXiv 2503.14476, eq. 13).

    0 up to max_tokens - buffer_tokens, then linear to -penalty at max_tokens and beyond.
    """
    into_buffer = num_tokens - (max_tokens - overlong.buffer_tokens)
    share = min(1.0, max(0.0, into_buffer / overlong.buffer_tokens))
    return -overlong.penalty * share if share else 0.0


def _case(candidate: Candidate) -> Case:
    prompt = candidate.prompt
    return Case(
        candidate.text,
        candidate.num_tokens,
        prompt.answer,
        dict(prompt.fields),
        prompt.opening,
        prompt.messages,
        candidate.step,
        candidate.draw,
    )


def _is_pooled(reward: Reward) -> bool:
    """Whether a reward is scored in the pool from the start."""
    return not reward.cheap and not reward.remote


def _needs_pool(reward: Reward) -> bool:
    if isinstance(reward, MultiReward) and reward.remote:
        return any(_needs_pool(member) for member in reward.rewards)
    return _is_pooled(reward)


def _open_services(
    rewards: Sequence[Reward], access: ServiceAccess, kept: KeptScores | None
) -> ServiceParts:
    try:
        return ServiceParts(rewards, access, kept=kept)
    except SecretMissing as error:
        raise RunError(
            "secret_missing",
            str(error),
            hint="Set the secret that the reward names, or correct its name in the spec.",
        ) from None


def _refuse_python(rewards: Sequence[Reward], *, allowed: bool) -> None:
    using = [reward.part for reward in rewards if reward.runs_python]
    if using and not allowed:
        raise RunError(
            "python_not_allowed",
            f"the reward {using[0]!r} runs Python code, which is not allowed on this machine",
            hint="Start the trainer with --allow-python-rewards, or the worker with "
            "DUET_ALLOW_PYTHON_REWARDS=1; or choose another reward.",
        )


def _open_pool(rewards: Sequence[Reward], scoring: Scoring) -> "RewardPool | None":
    pooled = [number for number, reward in enumerate(rewards) if _needs_pool(reward)]
    if not pooled:
        return None
    from grpo.rewards.pool import RewardPool

    pool = RewardPool(rewards, processes=num_processes(scoring), seconds=scoring.seconds)
    try:
        for number in pooled:
            _try(pool, number, rewards[number].part)
    except BaseException:
        pool.close()
        raise
    return pool


def num_processes(scoring: Scoring) -> int:
    """Return the number of scoring processes on this machine."""
    if scoring.processes != "auto":
        return scoring.processes
    return min(MOST_PROCESSES, len(os.sched_getaffinity(0)))


def _try(pool: "RewardPool", number: int, part: str) -> None:
    """Prepare one reward in the pool.

    Raises:
        RunError: no completion could be scored with it.
    """
    try:
        pool.prepare(number)
    except SandboxUnavailable as error:
        raise RunError(
            "sandbox_unavailable",
            f"this machine cannot isolate the code of the reward {part!r}: {error}",
            hint="Python rewards need Linux user namespaces (kernel.unprivileged_userns_clone, "
            "kernel.apparmor_restrict_unprivileged_userns, a container's seccomp profile).",
        ) from error
    except Exception as error:
        raise RunError(
            "reward_failed",
            f"the reward {part!r} cannot be loaded: {str(error) or type(error).__name__}",
            hint="Correct the reward, or install the packages that it imports.",
        ) from error
