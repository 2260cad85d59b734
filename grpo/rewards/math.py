"""`math`: 1 when the completion's mathematics equals the answer's."""

import logging
from typing import Any, ClassVar, Literal

from pydantic import Field

from grpo.rewards.reward import Case, Marker, Reward, placed, tail_of

DELIMITERS = ("$", r"\boxed", r"\(", r"\[")
EQUAL_ONCE_PREPARED = "1"


class MathReward(Reward):
    r"""1 when the last mathematics of the completion equals the answer's, else 0.

    Compared by math-verify, as LaTeX or plain expressions: \frac{1}{2}, 1/2 and 0.5 are equal.
    """

    gives_answers: ClassVar[bool] = True

    type: Literal["math"] = Field(description="Which reward this is.")
    after: Marker | None = Field(
        default=None,
        description="Look only behind the last occurrence of this marker.",
    )

    def prepare(self) -> None:
        # It warns at every start that its own time limits are off: ours is the process's.
        logging.getLogger("math_verify").setLevel(logging.ERROR)
        self.score(Case(f"{self.after or ''} {EQUAL_ONCE_PREPARED}", 1, EQUAL_ONCE_PREPARED))

    @property
    def expects_answer(self) -> bool:
        return True

    def score(self, case: Case) -> float:
        from math_verify import verify

        expected = _parse(_delimited(case.answer))
        if not expected:
            raise ValueError(f"the answer {case.answer[:80]!r} holds no mathematics")
        return float(verify(expected, self._said(case.text), timeout_seconds=None))

    def completion_for(self, case: Case) -> str:
        return placed(_delimited(case.answer), self.after)

    def answer_of(self, completion: str) -> str | None:
        from sympy import nsimplify

        said = self._said(completion)
        if not said:
            return None
        number = getattr(said[0], "is_number", False)
        return str(nsimplify(said[0], rational=True) if number else said[0])

    def _said(self, completion: str) -> list[Any]:
        return _parse(tail_of(completion, self.after) or "")


def _parse(text: str) -> list[Any]:
    from math_verify import parse

    untimed: Any = None  # a documented value, though not of the annotated type
    return parse(text, parsing_timeout=untimed, fallback_mode="no_fallback")


def _delimited(answer: str) -> str:
    r"""LaTeX is looked for only inside delimiters: of a bare \frac{1}{2} the 2 would be read."""
    return answer if any(mark in answer for mark in DELIMITERS) else f"${answer}$"
