"""`regex`: 1 when a pattern is found in the completion."""

import re
from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from grpo.rewards.deferral import is_deferred
from grpo.rewards.reward import Case, Reward


class RegexReward(Reward):
    """1 when the pattern matches, or when the capture of its last match equals the answer; else 0.

    Leading and trailing whitespace of a capture is ignored.
    """

    type: Literal["regex"] = Field(description="Type of the reward.")
    pattern: str = Field(
        min_length=1,
        max_length=2000,
        description="Regular expression in Python's syntax; flags at its start: (?s), (?i).",
    )
    capture: int | None = Field(
        default=None,
        ge=1,
        description="Number of the group whose text in the last match must equal the answer; "
        "null: any match scores 1.",
    )

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str, info: ValidationInfo) -> str:
        if is_deferred(info):
            return pattern
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"is not a valid regular expression: {error}") from None
        return pattern

    @model_validator(mode="after")
    def _has_the_group(self, info: ValidationInfo) -> Self:
        if is_deferred(info):
            return self
        groups = re.compile(self.pattern).groups
        if self.capture is not None and self.capture > groups:
            raise ValueError(f"capture {self.capture}: the pattern has {groups} groups")
        return self

    @property
    def costly_to_check(self) -> bool:
        return True

    @property
    def expects_answer(self) -> bool:
        return self.capture is not None

    def score(self, case: Case) -> float:
        if self.capture is None:
            return float(re.search(self.pattern, case.text) is not None)
        captured: str | None = None
        for match in re.finditer(self.pattern, case.text):
            captured = match[self.capture]
        return float(captured is not None and captured.strip() == case.answer.strip())
