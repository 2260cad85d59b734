"""`exact`: 1 when the completion says exactly the answer."""

from typing import Literal

from pydantic import Field

from grpo.rewards.reward import Reward, text_after


class ExactReward(Reward):
    """1 when the completion (or what follows its last `after`) equals the answer, else 0.

    Whitespace at both ends does not count.  A completion without the marker scores 0.
    """

    type: Literal["exact"] = Field(description="Which reward this is.")
    after: str | None = Field(
        default=None,
        min_length=1,
        description="Compare only what follows the last occurrence of this marker.",
    )

    def score(self, completion: str, answer: str) -> float:
        said = completion.strip() if self.after is None else text_after(completion, self.after)
        return float(said == answer.strip())
