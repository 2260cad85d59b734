"""What every reward is: its settings, and a score for one completion."""

from abc import abstractmethod

from pydantic import Field

from grpo.spec.section import Section


class Reward(Section):
    """A weighted part of a completion's reward.  Subclasses fix `type` and define `score`."""

    weight: float = Field(default=1.0, description="Factor of this part in the sum of rewards.")
    name: str | None = Field(
        default=None,
        pattern=r"^[a-z][a-z0-9_]{0,39}$",
        description="Name of this part in metrics and samples; the type unless given.",
    )

    @property
    def part(self) -> str:
        """The name under which this reward's scores are kept."""
        return self.name or self.type  # pyright: ignore[reportAttributeAccessIssue]

    @abstractmethod
    def score(self, completion: str, answer: str) -> float:
        """The unweighted reward of one completion's text.

        Raises:
            ValueError: the answer cannot be used by this reward (say, it holds no number).
        """


def text_after(text: str, marker: str) -> str | None:
    """What follows the last `marker`, stripped; None when the marker does not occur."""
    _, found, tail = text.rpartition(marker)
    return tail.strip() if found else None
