"""A completion's reward: the weighted sum of its parts, or the part that failed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from grpo.data.prompts import Prompt
from grpo.errors import RunError
from grpo.rewards.grading import Failed, check_answer, grade
from grpo.rewards.reward import Case, Reward, judges
from grpo.rewards.sandbox.sandbox import SandboxUnavailable
from grpo.spec.algorithm import Overlong
from grpo.spec.rollout import Scoring

if TYPE_CHECKING:
    from grpo.rewards.pool import RewardPool

FULL_MARK = 1 - 1e-9
"""0.7 + 0.2 + 0.1 is a little less than 1."""


@dataclass(frozen=True)
class Candidate:
    """A completion to score: its text, cut before a stop string, and its length."""

    text: str
    num_tokens: int
    prompt: Prompt


@dataclass(frozen=True)
class Score:
    """`parts` are the rewards by name, before their weights."""

    total: float
    parts: dict[str, float]


@dataclass(frozen=True)
class ScoreFailure:
    """A completion without a score: the reward `part` failed on the data's row `row`."""

    part: str
    row: int
    cause: str
    timed_out: bool = False

    @property
    def message(self) -> str:
        return f"the reward {self.part!r} failed on a completion of row {self.row}: {self.cause}"


class Scorer:
    """Scores completions: cheap rewards in this process, the others in processes that can be
    killed."""

    def __init__(
        self, rewards: Sequence[Reward], scoring: Scoring, *, allow_python: bool = False
    ) -> None:
        """
        Raises:
            RunError: `python_not_allowed`, `sandbox_unavailable`, or `reward_failed` if a reward
            cannot be loaded.
        """
        self._rewards = tuple(rewards)
        _refuse_python(rewards, allowed=allow_python)
        self._pool = _open_pool(self._rewards, scoring)

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
        """End the scoring processes."""
        if self._pool is not None:
            self._pool.close()

    def _grades(self, candidates: Sequence[Candidate]) -> list[list[float | Failed]]:
        """Return each reward's score of each candidate; the pool receives all its tasks in one
        call."""
        cases = [_case(candidate) for candidate in candidates]
        # Rows can be long, and few of the rewards in the pool read them.
        bare = [replace(case, fields={}) for case in cases]
        pooled = [number for number, reward in enumerate(self._rewards) if not reward.cheap]
        tasks = [
            (number, case)
            for number in pooled
            for case in (cases if self._rewards[number].reads_row else bare)
        ]
        graded = iter(self._pool.grade(tasks) if self._pool is not None else ())
        return [
            [grade(reward, case) for case in cases]
            if reward.cheap
            else list(islice(graded, len(cases)))
            for reward in self._rewards
        ]

    def _total(
        self, candidate: Candidate, grades: Sequence[float | Failed]
    ) -> Score | ScoreFailure:
        parts: dict[str, float] = {}
        total = 0.0
        for reward, graded in zip(self._rewards, grades, strict=True):
            if isinstance(graded, Failed):
                return ScoreFailure(
                    reward.part, candidate.prompt.row, graded.cause, graded.timed_out
                )
            parts[reward.part] = graded
            total += reward.weight * graded
        if not math.isfinite(total):
            return ScoreFailure("total", candidate.prompt.row, f"the weighted sum is {total}")
        return Score(total, parts)


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
        candidate.text, candidate.num_tokens, prompt.answer, dict(prompt.fields), prompt.opening
    )


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
    pooled = [number for number, reward in enumerate(rewards) if not reward.cheap]
    if not pooled:
        return None
    from grpo.rewards.pool import RewardPool

    pool = RewardPool(rewards, processes=scoring.processes, seconds=scoring.seconds)
    try:
        for number in pooled:
            _try(pool, number, rewards[number].part)
    except BaseException:
        pool.close()
        raise
    return pool


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
