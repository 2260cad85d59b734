"""`math`: 1 when the completion's mathematics equals the answer's."""

import logging
from typing import ClassVar, Literal

from pydantic import Field

from grpo.rewards.answers.final_answer import boxed
from grpo.rewards.answers.reading import group_key, is_equal, read_completion, read_gold
from grpo.rewards.answers.spelling import key_of
from grpo.rewards.reward import Case, Marker, Reward, placed, tail_of

DELIMITERS = ("$", r"\boxed", r"\(", r"\[")
EQUAL_ONCE_PREPARED = r"\frac{x}{2}"


class MathReward(Reward):
    r"""1 when the completion's answer equals the row's, else 0.

    The completion's answer is its last \boxed{}, the text after "the answer is", or its last
    formula.  Both are parsed the same way: \frac{1}{2}, 1/2, 0.5 and 50\% are equal.
    """

    gives_answers: ClassVar[bool] = True

    type: Literal["math"] = Field(description="Type of the reward.")
    after: Marker | None = Field(
        default=None,
        description="Search only after the last occurrence of this marker.",
    )

    def prepare(self) -> None:
        # math-verify warns at each start that its own time limits are off: the process has one.
        logging.getLogger("math_verify").setLevel(logging.ERROR)
        self.score(Case(f"{self.after or ''} x/2", 1, EQUAL_ONCE_PREPARED))

    @property
    def expects_answer(self) -> bool:
        return True

    def check_answer(self, case: Case) -> None:
        read_gold(case.answer)

    def score(self, case: Case) -> float:
        gold = read_gold(case.answer)
        tail = tail_of(case.text, self.after)
        if not tail:
            return 0.0
        if _is_same_text(case.answer, tail):
            return 1.0
        return float(is_equal(gold, read_completion(tail)))

    def completion_for(self, case: Case) -> str:
        marked = any(mark in case.answer for mark in DELIMITERS)
        return placed(case.answer if marked else f"${case.answer}$", self.after)

    def answer_of(self, completion: str) -> str | None:
        tail = tail_of(completion, self.after)
        return group_key(read_completion(tail)) if tail else None


def _is_same_text(answer: str, said: str) -> bool:
    """Whether the completion, or its box, is literally the answer."""
    key = key_of(answer)
    return key != "" and key in (key_of(said), key_of(boxed(said) or ""))
