"""Reward trials, as the API shows them."""

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
    """A completion, with the fields of its row that the rewards use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    completion: str
    answer: str = Field(default="", description="The row's expected answer.")
    item: dict[str, Any] = Field(default={}, description="The row's fields.")
    num_tokens: int | None = Field(
        default=None, ge=0, description="Default: one token per four characters."
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

    reward: str = Field(description="The reward's name; by default its type.")
    score: float | None = Field(description="Before weighting; null: see `error`.")
    seconds: float | None = Field(description="Null: not started.")
    error: str | None

    @classmethod
    def of(cls, reward: Reward, trial: Trial) -> Self:
        return cls(reward=reward.part, score=trial.score, seconds=trial.seconds, error=trial.error)


class CompletionTried(View):
    """A completion's rewards."""

    total: float | None = Field(description="The weighted sum; null if a part has no score.")
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
    """Results in the order of the completions."""

    completions: list[CompletionTried]


class KindTried(View):
    """A reward's scores of one kind of completion."""

    completion: str = Field(description=f"The first row's, up to {SHOWN_CHARACTERS} characters.")
    scores: list[float | None] = Field(
        description="One score per row; null: it failed, or the row has no such completion."
    )
    seconds: float | None = Field(description="The slowest score; null: none was started.")
    errors: list[str] = Field(description=f"Why scores failed, at most {SHOWN_ERRORS} reasons.")

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
    """A reward tested on completions of known quality."""

    reward: str = Field(description="The reward's name; by default its type.")
    right_by: str | None = Field(
        description="The reward that defines a right completion: this one, or for Python code "
        "another of the spec. Null: unknown, so none is tested."
    )
    right: KindTried | None = Field(
        default=None,
        description="Completions with the row's answer in the form that `right_by` expects.",
    )
    wrong: KindTried | None = Field(
        default=None, description="Completions with another row's answer in that form."
    )
    empty: KindTried
    huge: KindTried = Field(description="Wrong completions as long as rollout.max_tokens allows.")
    warnings: list[str] = Field(description="Empty if no problem was found.")

    @classmethod
    def of(cls, report: Report) -> Self:
        return cls(
            reward=report.reward.part,
            right_by=report.guide and report.guide.part,
            **{kind: KindTried.of(result) for kind, result in report.kinds.items()},
            warnings=report.warnings,
        )


class Preflight(View):
    """The spec's rewards tested on sample rows of its training data."""

    num_rows: int
    seconds: float
    rewards: list[RewardPreflight]
    not_tried: str | None = Field(description="Why the rewards were not tested, if so.")
