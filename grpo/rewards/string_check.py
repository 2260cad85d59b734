"""`string_check`: comparison of two texts made from a completion and its row."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Literal

from pydantic import Field

from grpo.rewards.reward import Case, Reward
from grpo.rewards.template import CaseTemplate, NoSuchOutput, fill, is_output_alone

Operation = Literal["eq", "ne", "like", "ilike"]

_COMPARE: Mapping[Operation, Callable[[str, str], bool]] = {
    "eq": lambda text, reference: text == reference,
    "ne": lambda text, reference: text != reference,
    "like": lambda text, reference: reference in text,
    "ilike": lambda text, reference: reference.casefold() in text.casefold(),
}


class StringCheckReward(Reward):
    """1 when `input` and `reference` compare as `operation` says, else 0.

    Nothing is stripped.  Same as OpenAI's grader of that name.
    """

    type: Literal["string_check"] = Field(description="Type of the reward.")
    input: CaseTemplate = Field(
        default="{{sample.output_text}}",
        description="Text to check: a template with {{sample.output_text}} and {{item.FIELD}}.",
    )
    reference: CaseTemplate = Field(
        default="{{item.answer}}", description="Text to compare with: a template like `input`."
    )
    operation: Operation = Field(
        default="eq",
        description="eq: equal; ne: not equal; like: the input contains the reference; ilike: the "
        "same, ignoring case.",
    )

    @property
    def cheap(self) -> bool:
        return True

    @property
    def expects_answer(self) -> bool:
        return True

    @property
    def reads_row(self) -> bool:
        return True

    def check_answer(self, case: Case) -> None:
        with suppress(NoSuchOutput):  # a reference that reads the completion
            fill(self.reference, case)

    def score(self, case: Case) -> float:
        compare = _COMPARE[self.operation]
        try:
            return float(compare(fill(self.input, case), fill(self.reference, case)))
        except NoSuchOutput:
            return 0.0

    def completion_for(self, case: Case) -> str | None:
        looks_at_all = is_output_alone(self.input)
        return fill(self.reference, case) if looks_at_all and self.operation != "ne" else None
