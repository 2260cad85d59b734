"""`number`: 1 when the completion's number equals the answer's."""

import re
from decimal import Decimal
from typing import ClassVar, Literal

from pydantic import Field

from grpo.rewards.reward import Case, Marker, Reward, placed, tail_of

# A sign belongs to the number only where it is no operator: "12-9" ends in 9, "x = -9" in -9.
# A comma belongs to it only where it parts thousands: "1,2,3" ends in 3.  U+2212 is the
# typographic minus.
NUMBER = re.compile(
    r"(?:(?<![\w)])[-+\u2212])?(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)", re.ASCII
)


class NumberReward(Reward):
    """1 when the last number of the completion (or of what follows `after`) equals the answer's.

    Thousands separators are ignored and 18.0 equals 18.  A completion without a number scores 0.
    """

    gives_answers: ClassVar[bool] = True

    type: Literal["number"] = Field(description="Which reward this is.")
    after: Marker | None = Field(
        default=None,
        description="Look for the number only behind the last occurrence of this marker.",
    )

    @property
    def cheap(self) -> bool:
        return True

    @property
    def expects_answer(self) -> bool:
        return True

    def score(self, case: Case) -> float:
        expected = last_number(case.answer)
        if expected is None:
            raise ValueError(f"the answer {case.answer[:80]!r} holds no number")
        return float(self._said(case.text) == expected)

    def completion_for(self, case: Case) -> str:
        return placed(case.answer, self.after)

    def answer_of(self, completion: str) -> str | None:
        said = self._said(completion)
        return None if said is None else plain(said)

    def _said(self, completion: str) -> Decimal | None:
        return last_number(tail_of(completion, self.after) or "")


def last_number(text: str) -> Decimal | None:
    """The last decimal number in `text`, exactly; None when there is none."""
    found = NUMBER.findall(text)
    return Decimal(found[-1].replace(",", "").replace("\u2212", "-")) if found else None


def plain(number: Decimal) -> str:
    """One text a value: 18.50 and 18.5 are both 18.5.  (Decimal.normalize would round.)"""
    text = f"{number:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
