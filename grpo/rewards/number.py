"""`number`: 1 when the completion's number equals the answer's."""

import re
from decimal import Decimal
from typing import Literal

from pydantic import Field

from grpo.rewards.reward import Reward, text_after

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

    type: Literal["number"] = Field(description="Which reward this is.")
    after: str | None = Field(
        default=None,
        min_length=1,
        description="Look for the number only behind the last occurrence of this marker.",
    )

    def score(self, completion: str, answer: str) -> float:
        expected = last_number(answer)
        if expected is None:
            raise ValueError(f"the answer {answer[:80]!r} holds no number")
        said = completion if self.after is None else (text_after(completion, self.after) or "")
        return float(last_number(said) == expected)


def last_number(text: str) -> Decimal | None:
    """The last decimal number in `text`, exactly; None when there is none."""
    found = NUMBER.findall(text)
    return Decimal(found[-1].replace(",", "").replace("\u2212", "-")) if found else None
