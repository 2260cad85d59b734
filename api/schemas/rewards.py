"""Reward trials, as the API shows them."""

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.base import View
from grpo.rewards.preflight import num_tokens
from grpo.rewards.reward import Case, Reward
from grpo.rewards.tryout import Trial


class MessageToTry(BaseModel):
    """A message of the prompt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["system", "user", "assistant"]
    content: str


class CompletionToTry(BaseModel):
    """A completion, with the fields of its row that the rewards use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    completion: str
    answer: str = Field(default="", description="The row's expected answer.")
    item: dict[str, Any] = Field(default={}, description="The row's fields.")
    messages: list[MessageToTry] = Field(
        default=[],
        max_length=1000,
        description="The prompt's messages, for rewards that call a service.",
    )
    num_tokens: int | None = Field(
        default=None, ge=0, description="Default: one token per four characters."
    )

    def case(self) -> Case:
        counted = num_tokens(self.completion) if self.num_tokens is None else self.num_tokens
        messages = tuple(message.model_dump() for message in self.messages)
        return Case(self.completion, counted, self.answer, self.item, messages=messages)


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
