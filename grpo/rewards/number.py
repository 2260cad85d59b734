"""`number`: 1 when the completion's number equals the answer's."""

from typing import ClassVar, Literal

from pydantic import Field

from grpo.rewards.answers.quantity import Quantity, equal, last_quantity, plain, read_quantity
from grpo.rewards.reward import Case, Marker, Reward, placed, tail_of, text_after


class NumberReward(Reward):
    """1 when the last number of the completion (or of the text after `after`) equals the answer's.

    The whole answer must be one number: an integer, a decimal, a fraction, a mixed number or a
    percentage; with thousands separators, in scientific notation, with a currency or one unit.
    18.0 equals 18, 1/2 equals 0.5.  A completion without a number scores 0.
    """

    gives_answers: ClassVar[bool] = True

    type: Literal["number"] = Field(description="Type of the reward.")
    after: Marker | None = Field(
        default=None,
        description="Search for the number only after the last occurrence of this marker.",
    )

    @property
    def cheap(self) -> bool:
        return True

    @property
    def expects_answer(self) -> bool:
        return True

    def check_answer(self, case: Case) -> None:
        self._expected(case.answer)

    def score(self, case: Case) -> float:
        expected, said = self._expected(case.answer), self._said(case.text)
        return float(said is not None and equal(expected, said))

    def completion_for(self, case: Case) -> str:
        return placed(case.answer, self.after)

    def answer_of(self, completion: str) -> str | None:
        said = self._said(completion)
        return None if said is None else plain(said.value)

    def _expected(self, answer: str) -> Quantity:
        """Return the answer's number; a marker may precede it, as in completions.

        Raises:
            ValueError: the answer is not one number.
        """
        behind = None if self.after is None else text_after(answer, self.after)
        quantity = read_quantity(answer if behind is None else behind)
        if quantity is None and last_quantity(answer) is None:
            raise ValueError(f"the answer {answer[:80]!r} contains no number")
        if quantity is None:
            raise ValueError(
                f"the answer {answer[:80]!r} is not a single number: only a currency "
                "or one unit may accompany it"
            )
        return quantity

    def _said(self, completion: str) -> Quantity | None:
        return last_quantity(tail_of(completion, self.after) or "")
