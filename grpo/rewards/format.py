"""`format`: 1 when the completion consists of the expected tags."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from grpo.rewards.reward import Case, Reward
from grpo.values.field_errors import matching

Tag = Annotated[
    str,
    StringConstraints(
        pattern=matching(
            r"^[A-Za-z][A-Za-z0-9_-]{0,39}$",
            "must be a tag's name without brackets: 1 to 40 letters, digits, hyphens and "
            "underscores, and begin with a letter",
        )
    ),
]


class FormatReward(Reward):
    """1 when the completion is <a>…</a><b>…</b> for the tags a, b in this order, else 0.

    Each tag opens and closes once and is not empty, with only whitespace between tags.  A tag that
    the prompt already opened, as some chat templates do, counts as part of the completion.
    """

    type: Literal["format"] = Field(description="Type of the reward.")
    tags: list[Tag] = Field(
        default=["think", "answer"],
        min_length=1,
        max_length=16,
        description="Names of the tags, in order.",
    )

    @field_validator("tags")
    @classmethod
    def _distinct(cls, tags: list[str]) -> list[str]:
        doubled = sorted({tag for tag in tags if tags.count(tag) > 1})
        if doubled:
            raise ValueError(f"tag {doubled[0]!r} is repeated: name each tag once")
        return tags

    @property
    def cheap(self) -> bool:
        return True

    def completion_for(self, case: Case) -> str:
        inside = case.answer.strip() or "text"  # an empty tag does not count
        return "".join(f"<{tag}>{inside}</{tag}>" for tag in self.tags)

    def score(self, case: Case) -> float:
        text = rest = self._whole(case)
        for tag in self.tags:
            head, opened, rest = rest.partition(f"<{tag}>")
            inside, closed, rest = rest.partition(f"</{tag}>")
            if head.strip() or not (opened and closed and inside.strip()):
                return 0.0
        once = all(text.count(mark) == 1 for tag in self.tags for mark in (f"<{tag}>", f"</{tag}>"))
        return float(once and not rest.strip())

    def _whole(self, case: Case) -> str:
        return case.opening + case.text if case.opening == f"<{self.tags[0]}>" else case.text
