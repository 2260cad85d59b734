"""The base of every reward: its settings, and a score for one completion."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from pydantic import Field

from grpo.values.field_errors import matching
from grpo.values.section import LARGEST, Section

Marker = Annotated[str, Field(min_length=1, max_length=1000)]


@dataclass(frozen=True)
class Case:
    """A reward's input: a completion's text and length, the row's answer and its fields.

    `opening`: the tag at the end of the prompt, which the completion continues.  `messages`: the
    prompt's.  `step`: of training; None: an evaluation or a trial.  `draw`: which of the prompt's
    groups in a step.  `given`: scores of this
    completion that are known already, by the names of a `multi`'s rewards.
    """

    text: str
    num_tokens: int
    answer: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    opening: str = ""
    messages: tuple[Mapping[str, str], ...] = ()
    step: int | None = None
    draw: int = 0
    given: Mapping[str, float] = field(default_factory=dict)


class Reward(Section):
    """A weighted part of a completion's reward.  Subclasses fix `type` and define `score`."""

    gives_answers: ClassVar[bool] = False
    """Whether `answer_of` can extract a completion's final answer."""

    weight: float = Field(
        default=1.0,
        ge=-LARGEST,
        le=LARGEST,
        description="Factor of this reward in the sum.",
    )
    name: str | None = Field(
        default=None,
        pattern=matching(
            r"^[a-z][a-z0-9_]{0,39}$",
            "must be 1 to 40 lower-case letters, digits and underscores, and begin with a letter",
        ),
        description="Name in metrics and samples; default: the type.",
    )

    correctness: bool | None = Field(
        default=None,
        description="Whether full score means that the completion is correct: accuracy, pass@k, "
        "majority@n and the pass rate use only such rewards.  null: if it compares with the answer "
        "and scores 0 or 1.",
    )

    @property
    def part(self) -> str:
        """Name under which this reward's scores are stored."""
        return self.name or self.type  # pyright: ignore[reportAttributeAccessIssue]

    @property
    def cheap(self) -> bool:
        """Whether scoring takes linear time, so that no separate process is needed."""
        return False

    @property
    def costly_to_check(self) -> bool:
        """Whether the settings need a check that `deferral` may defer."""
        return False

    @property
    def runs_python(self) -> bool:
        """Whether the reward runs code of the spec's author."""
        return False

    @property
    def remote(self) -> bool:
        """Whether a service is called for the score, by this reward or by one of its parts."""
        return False

    @property
    def expects_answer(self) -> bool:
        """Whether the score is known to depend on the row's answer."""
        return False

    @property
    def graded(self) -> bool:
        """Whether scores between 0 and 1 are graded."""
        return False

    @property
    def judges_correctness(self) -> bool:
        """Whether this reward decides correctness."""
        if self.correctness is not None:
            return self.correctness
        return self.expects_answer and not self.graded

    @property
    def reads_row(self) -> bool:
        """Whether the reward reads the row's fields besides its answer."""
        return self.runs_python

    @property
    def checks_answer(self) -> bool:
        """Whether `check_answer` is implemented."""
        return type(self).check_answer is not Reward.check_answer

    def prepare(self) -> None:
        """Load the dependencies of `score`; called once per process, outside the time limit."""

    def check_answer(self, case: Case) -> None:
        """Check the row alone, before any training.

        Raises:
            ValueError: no completion could be scored against its answer.
        """

    @abstractmethod
    def score(self, case: Case) -> float:
        """Return the unweighted reward of one completion.

        Raises:
            ValueError: the answer cannot be used by this reward (for instance, has no number).
        """

    def completion_for(self, case: Case) -> str | None:  # noqa: ARG002 - used by subclasses
        """Return a completion with full score, with the case's answer where the reward reads it;
        None if unknown.

        Raises:
            ValueError: as `score`.
        """
        return None

    def answer_of(self, completion: str) -> str | None:  # noqa: ARG002 - used by subclasses
        """Return a completion's final answer in a form that is the same for equal answers.

        None without an answer.  For majority voting, where `gives_answers`.
        """
        return None


def judges(rewards: Sequence[Reward]) -> list[Reward]:
    """Return the rewards that decide correctness: those with a positive weight."""
    return [reward for reward in rewards if reward.judges_correctness and reward.weight > 0]


def placed(answer: str, marker: str | None) -> str:
    """Return a text in which `tail_of` finds the answer."""
    return answer if marker is None else f"{marker} {answer}"


def text_after(text: str, marker: str) -> str | None:
    """Return the text after the last `marker`, stripped; None when the marker does not occur."""
    _, found, tail = text.rpartition(marker)
    return tail.strip() if found else None


def tail_of(text: str, marker: str | None) -> str | None:
    """Return the whole text without a marker, else the text after its last occurrence; stripped."""
    return text.strip() if marker is None else text_after(text, marker)
