"""`exact`: 1 when the completion equals the answer."""

from typing import ClassVar, Literal

from pydantic import Field

from grpo.rewards.reward import Case, Marker, Reward, placed, tail_of


class ExactReward(Reward):
    """1 when the completion (or the text after the last `after`) equals the answer, else 0.

    Leading and trailing whitespace is ignored.  A completion without the marker scores 0.
    """

    gives_answers: ClassVar[bool] = True

    type: Literal["exact"] = Field(description="Type of the reward.")
    after: Marker | None = Field(
        default=None,
        description="Compare only the text after the last occurrence of this marker.",
    )

    @property
    def cheap(self) -> bool:
        return True

    @property
    def expects_answer(self) -> bool:
        return True

    def score(self, case: Case) -> float:
        return float(self.answer_of(case.text) == case.answer.strip())

    def completion_for(self, case: Case) -> str:
        return placed(case.answer, self.after)

    def answer_of(self, completion: str) -> str | None:
        return tail_of(completion, self.after)
