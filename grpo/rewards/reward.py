"""The base of every reward: its settings, and a score for one completion."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from pydantic import Field

from grpo.values.section import LARGEST, Section

Marker = Annotated[str, Field(min_length=1, max_length=1000)]


@dataclass(frozen=True)
class Case:
    """A reward's input: a completion's text and length, the row's answer and its fields.

    `opening`: the tag that the prompt ends with, which the completion goes on from.
    """

    text: str
    num_tokens: int
    answer: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    opening: str = ""


class Reward(Section):
    """A weighted part of a completion's reward.  Subclasses fix `type` and define `score`."""

    gives_answers: ClassVar[bool] = False
    """Whether `answer_of` can tell which final answer a completion gives."""

    weight: float = Field(
        default=1.0,
        ge=-LARGEST,
        le=LARGEST,
        description="Factor of this part in the sum of rewards.",
    )
    name: str | None = Field(
        default=None,
        pattern=r"^[a-z][a-z0-9_]{0,39}$",
        description="Name of this part in metrics and samples; the type unless given.",
    )

    correctness: bool | None = Field(
        default=None,
        description="Whether its full mark means that the completion is right: accuracy, pass@k, "
        "majority@n and the pass rate go by such rewards alone.  None: where it compares with the "
        "answer and gives 0 or 1.",
    )

    @property
    def part(self) -> str:
        """The name under which this reward's scores are kept."""
        return self.name or self.type  # pyright: ignore[reportAttributeAccessIssue]

    @property
    def cheap(self) -> bool:
        """Whether it takes time linear in the text, so that it needs no process of its own."""
        return False

    @property
    def costly_to_check(self) -> bool:
        """Whether its settings need a check that `deferral` may put off."""
        return False

    @property
    def runs_python(self) -> bool:
        """Whether it runs code of the spec's author."""
        return False

    @property
    def expects_answer(self) -> bool:
        """Whether the score is to depend on the row's answer; False too where that is unknown."""
        return False

    @property
    def graded(self) -> bool:
        """Whether scores between 0 and 1 mean more and less."""
        return False

    @property
    def judges_correctness(self) -> bool:
        """Whether completions are right or wrong by this reward."""
        if self.correctness is not None:
            return self.correctness
        return self.expects_answer and not self.graded

    @property
    def reads_row(self) -> bool:
        """Whether it looks at the row's fields, not only at its answer."""
        return self.runs_python

    @property
    def checks_answer(self) -> bool:
        """Whether `check_answer` looks at anything."""
        return type(self).check_answer is not Reward.check_answer

    def prepare(self) -> None:
        """Load what `score` needs; called once in a scoring process, outside the time limit."""

    def check_answer(self, case: Case) -> None:
        """Look at the row alone, before anything is trained on it.

        Raises:
            ValueError: no completion could be scored against its answer.
        """

    @abstractmethod
    def score(self, case: Case) -> float:
        """The unweighted reward of one completion.

        Raises:
            ValueError: the answer cannot be used by this reward (say, it holds no number).
        """

    def completion_for(self, case: Case) -> str | None:  # noqa: ARG002 - for those that can tell
        """A completion that deserves this reward's full mark: it gives the case's answer where the
        reward looks for it.  None: not known.

        Raises:
            ValueError: as `score`.
        """
        return None

    def answer_of(self, completion: str) -> str | None:  # noqa: ARG002 - for those that can tell
        """The final answer a completion gives, in a form that is equal where answers are.

        None: it gives none.  For majority voting, where `gives_answers`.
        """
        return None


def judges(rewards: Sequence[Reward]) -> list[Reward]:
    """The rewards by which a completion is right or wrong: those of them with a positive weight."""
    return [reward for reward in rewards if reward.judges_correctness and reward.weight > 0]


def placed(answer: str, marker: str | None) -> str:
    """A text that `tail_of` finds the answer in."""
    return answer if marker is None else f"{marker} {answer}"


def text_after(text: str, marker: str) -> str | None:
    """Return the text after the last `marker`, stripped; None when the marker does not occur."""
    _, found, tail = text.rpartition(marker)
    return tail.strip() if found else None


def tail_of(text: str, marker: str | None) -> str | None:
    """The whole text without a marker, else what follows its last occurrence; stripped."""
    return text.strip() if marker is None else text_after(text, marker)
