"""`judge`: a language model that scores, labels or compares completions."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from grpo.rewards.grading import Failed
from grpo.rewards.reward import Case
from grpo.rewards.service.access import ServiceAccess
from grpo.rewards.service.calls import CallFailed, Calls
from grpo.rewards.service.formats import decoded, encoded
from grpo.rewards.service.question import Question, question
from grpo.rewards.service.service_reward import SecretName, ServiceReward
from grpo.rewards.service.tournament import pairings, shares
from grpo.rewards.service.verdict import read_label, read_preference, read_score, verdict_of
from grpo.rewards.service.writing import JudgeMessage, messages_for, response_format
from grpo.rewards.template import CaseTemplate, NoSuchOutput
from grpo.values.section import LARGEST

Label = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Mode = Literal["score", "label", "pairwise"]
PATH = "/chat/completions"
BETTER_FIRST, BETTER_SECOND, TIE = 1.0, 0.0, 0.5


class JudgeReward(ServiceReward):
    """Verdict of a language model behind an OpenAI-compatible API, from 0 to 1.

    score: its score by a rubric, from the ends of `range`; label: 1 for one of `passing_labels`;
    pairwise: the share of the other completions of the group that it finds worse, each pair asked
    in both orders, half for a tie.
    """

    HOW: ClassVar[frozenset[str]] = ServiceReward.HOW | {"api_key"}

    type: Literal["judge"] = Field(description="Type of the reward.")
    model: str = Field(min_length=1, max_length=200, description="Name of the model.")
    api_key: SecretName | None = Field(
        default=None,
        description="Name of a project's secret that is sent as the API's key, to the host that "
        "was set with it; null: no key.",
    )
    mode: Mode = Field(description="What the model is asked for.")
    rubric: CaseTemplate | None = Field(
        default=None,
        description="What is good: a template with {{item.FIELD}}; null: what `input` says.",
    )
    input: list[JudgeMessage] | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="The whole request in place of the built-in one: messages whose contents are "
        "templates with {{sample.output_text}} and {{item.FIELD}}.",
    )
    range: tuple[float, float] = Field(
        default=(0.0, 10.0), description="Lowest and highest score, which become 0 and 1."
    )
    labels: list[Label] = Field(default=[], max_length=64, description="Labels to choose from.")
    passing_labels: list[Label] = Field(
        default=[], max_length=64, description="Labels of a good completion: its score is 1."
    )
    opponents: int = Field(
        default=4,
        ge=1,
        le=64,
        description="Most completions of its group that a completion is compared with; for pairs "
        "there is one.",
    )
    temperature: float | None = Field(
        default=None, ge=0, le=2, description="Sampling temperature; null: the API's default."
    )
    max_tokens: int = Field(
        default=1024, ge=1, le=100_000, description="Longest answer, reasoning included [tokens]."
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.rubric is None) == (self.input is None):
            raise ValueError("set either `rubric` or `input`")
        if self.mode == "pairwise" and self.input is not None:
            raise ValueError("`input` cannot show two completions: set `rubric` for pairwise")
        low, high = self.range
        if not (-LARGEST <= low < high <= LARGEST):
            raise ValueError("`range` must be two numbers, the lower one first")
        if self.mode == "label":
            self._check_labels()
        elif self.labels or self.passing_labels:
            raise ValueError("`labels` and `passing_labels` are for mode: label")
        return self

    def _check_labels(self) -> None:
        if not self.passing_labels or not set(self.passing_labels) < set(self.labels):
            raise ValueError("`passing_labels` must be some of the `labels`, and not all of them")
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("`labels` has one of them twice")

    @property
    def endpoint(self) -> str:
        return self.url.rstrip("/") + PATH

    @property
    def sends_secret(self) -> bool:
        return True

    @property
    def secrets(self) -> Mapping[str, str]:
        return {} if self.api_key is None else {"api_key": self.api_key}

    @property
    def compares(self) -> bool:
        return self.mode == "pairwise"

    @property
    def reads_row(self) -> bool:
        return True

    @property
    def graded(self) -> bool:
        return self.mode != "label"

    def identity(self) -> dict[str, Any]:
        settings = super().identity()
        settings.pop("opponents")
        return settings

    def questions(self, cases: Sequence[Case]) -> list[Question]:
        if not self.compares:
            return super().questions(cases)
        identity = self.identity()
        return [
            question(identity, cases[one], cases[other])
            for pair in pairings(cases, opponents=self.opponents)
            if cases[pair[0]].text != cases[pair[1]].text
            for one, other in (pair, pair[::-1])
        ]

    def scores(
        self, cases: Sequence[Case], answers: Mapping[str, float | Failed]
    ) -> list[float | Failed]:
        if not self.compares:
            return super().scores(cases, answers)
        identity = self.identity()

        def verdict(one: int, other: int) -> float | Failed:
            """Return 1: `one` is better in both orders, 0: `other` is, 0.5: a tie."""
            if cases[one].text == cases[other].text:
                return TIE
            found = answers[question(identity, cases[one], cases[other]).key]
            swapped = answers[question(identity, cases[other], cases[one]).key]
            if isinstance(found, Failed) or isinstance(swapped, Failed):
                return found if isinstance(found, Failed) else swapped
            return found if found == 1 - swapped else TIE

        return shares(cases, verdict, opponents=self.opponents)

    def ask(
        self, asked: Sequence[Question], calls: Calls, access: ServiceAccess
    ) -> list[float | Failed]:
        (one,) = asked
        try:
            body = self._body(one)
        except NoSuchOutput as error:
            return [Failed(str(error))]
        except ValueError as error:
            raise CallFailed(str(error)) from None
        key = None if self.api_key is None else access.secret(self.api_key)
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        sent = encoded(body)
        tokens = len(sent) // 4 + self.max_tokens
        answer = decoded(calls.post(sent, lambda: headers, tokens=tokens).body)
        calls.count_tokens(answer)
        return [self._read(verdict_of(answer))]

    def _body(self, asked: Question) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "messages": messages_for(
                self.mode,
                asked.cases,
                rubric=self.rubric,
                own=self.input,
                range_=self.range,
                labels=self.labels,
            ),
            "response_format": response_format(self.mode, labels=self.labels),
            "max_completion_tokens": self.max_tokens,
        }
        return body if self.temperature is None else {**body, "temperature": self.temperature}

    def _read(self, verdict: Mapping[str, Any]) -> float | Failed:
        match self.mode:
            case "score":
                return read_score(verdict, self.range)
            case "label":
                return read_label(verdict, self.labels, self.passing_labels)
            case "pairwise":
                return read_preference(verdict)
