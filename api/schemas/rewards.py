"""Rewards that were tried, as the API shows it."""

from collections.abc import Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.base import View
from grpo.rewards.preflight import KindResult, Report, num_tokens
from grpo.rewards.reward import Case, Reward
from grpo.rewards.tryout import Trial

SHOWN_CHARACTERS = 500
SHOWN_ERRORS = 3


class CompletionToTry(BaseModel):
    """A completion, and of its row what the rewards look at."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    completion: str
    answer: str = Field(default="", description="The row's expected answer.")
    item: dict[str, Any] = Field(default={}, description="The row's fields.")
    num_tokens: int | None = Field(
        default=None, ge=0, description="Null: one for every four characters."
    )

    def case(self) -> Case:
        counted = num_tokens(self.completion) if self.num_tokens is None else self.num_tokens
        return Case(self.completion, counted, self.answer, self.item)


class RewardsToTry(BaseModel):
    """Rewards, and completions to score by them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rewards: list[dict[str, Any]] = Field(
        min_length=1, max_length=16, description="As `rewards` of a spec (JobSpec)."
    )
    completions: list[CompletionToTry] = Field(min_length=1, max_length=64)


class PartTried(View):
    """One reward of one completion."""

    reward: str = Field(description="Its name; the type unless it has one.")
    score: float | None = Field(description="Before its weight; null: see `error`.")
    seconds: float | None = Field(description="Null: it was not begun.")
    error: str | None

    @classmethod
    def of(cls, reward: Reward, trial: Trial) -> Self:
        return cls(reward=reward.part, score=trial.score, seconds=trial.seconds, error=trial.error)


class CompletionTried(View):
    """A completion's reward."""

    total: float | None = Field(description="The weighted sum; null where a part has no score.")
    parts: list[PartTried]

    @classmethod
    def of(cls, rewards: Sequence[Reward], trials: Sequence[Trial]) -> Self:
        scores = [trial.score for trial in trials if trial.score is not None]
        whole = len(scores) == len(trials)
        weights = [reward.weight for reward in rewards]
        return cls(
            total=sum(map(float.__mul__, weights, scores)) if whole else None,
            parts=[PartTried.of(*pair) for pair in zip(rewards, trials, strict=True)],
        )


class RewardsTried(View):
    """In the order of the completions."""

    completions: list[CompletionTried]


class KindTried(View):
    """What a reward made of one kind of completion."""

    completion: str = Field(description=f"The first row's, up to {SHOWN_CHARACTERS} characters.")
    scores: list[float | None] = Field(
        description="Of each row; null: it failed, or the row has no such completion."
    )
    seconds: float | None = Field(description="The slowest score; null: none was begun.")
    errors: list[str] = Field(description=f"Why scores failed, {SHOWN_ERRORS} reasons at most.")

    @classmethod
    def of(cls, result: KindResult) -> Self:
        trials = [trial for trial in result.trials if trial is not None]
        seconds = [trial.seconds for trial in trials if trial.seconds is not None]
        errors = dict.fromkeys(trial.error for trial in trials if trial.error is not None)
        return cls(
            completion=result.text[:SHOWN_CHARACTERS],
            scores=result.scores,
            seconds=max(seconds, default=None),
            errors=list(errors)[:SHOWN_ERRORS],
        )


class RewardPreflight(View):
    """A reward on completions of which it is known what they deserve."""

    reward: str = Field(description="Its name; the type unless it has one.")
    right_by: str | None = Field(
        description="The reward that says what a right completion looks like: this one, or for "
        "Python code another of the spec.  Null: not known, so that none is tried."
    )
    right: KindTried | None = Field(
        default=None, description="They give the row's answer as `right_by` wants."
    )
    wrong: KindTried | None = Field(
        default=None, description="They give another row's answer there."
    )
    empty: KindTried
    huge: KindTried = Field(description="As long as rollout.max_tokens allows, and wrong.")
    warnings: list[str] = Field(description="Empty: nothing is wrong with this reward.")

    @classmethod
    def of(cls, report: Report) -> Self:
        return cls(
            reward=report.reward.part,
            right_by=report.guide and report.guide.part,
            **{kind: KindTried.of(result) for kind, result in report.kinds.items()},
            warnings=report.warnings,
        )


class Preflight(View):
    """What the spec's rewards make of sample rows of its training data."""

    num_rows: int
    seconds: float
    rewards: list[RewardPreflight]
    not_tried: str | None = Field(description="Why the rewards were not tried, if so.")
