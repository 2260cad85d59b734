"""`length`: 1 for a short completion, decreasing to 0 at a length limit."""

from typing import Literal, Self

from pydantic import Field, model_validator

from grpo.rewards.reward import Case, Reward
from grpo.values.section import MOST


class LengthReward(Reward):
    """1 up to `target_tokens`, then decreasing linearly to 0 at `limit_tokens` and beyond."""

    type: Literal["length"] = Field(description="Type of the reward.")
    target_tokens: int = Field(
        ge=0, le=MOST, description="Longest completion that scores 1 [tokens]."
    )
    limit_tokens: int = Field(
        ge=1, le=MOST, description="Shortest completion that scores 0 [tokens]."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.limit_tokens <= self.target_tokens:
            raise ValueError(
                f"limit_tokens {self.limit_tokens} must be above target_tokens {self.target_tokens}"
            )
        return self

    @property
    def cheap(self) -> bool:
        return True

    def completion_for(self, case: Case) -> str:
        """Return a short text, which has full score for any row."""
        return case.answer

    def score(self, case: Case) -> float:
        share = (self.limit_tokens - case.num_tokens) / (self.limit_tokens - self.target_tokens)
        return min(1.0, max(0.0, share))
