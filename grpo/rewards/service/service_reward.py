"""The base of rewards that a service computes."""

import threading
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, PrivateAttr

from grpo.net.public_address import MAX_URL_LENGTH, AddressRefused, host_and_port, parsed
from grpo.rewards.grading import Failed
from grpo.rewards.reward import Case, Reward
from grpo.rewards.service.access import ServiceAccess
from grpo.rewards.service.calls import Calls, CallSettings
from grpo.rewards.service.question import Question, question

SECRET_NAME = r"^[A-Z][A-Z0-9_]{0,63}$"
SecretName = Annotated[str, Field(pattern=SECRET_NAME)]


def _readable(url: str) -> str:
    try:
        parsed(url)
    except AddressRefused as refused:
        raise ValueError(refused.detail) from None
    return url


ServiceUrl = Annotated[
    str, Field(min_length=1, max_length=MAX_URL_LENGTH), AfterValidator(_readable)
]


class ScoreMissing(ValueError):
    """The service gave no score."""


class ServiceReward(Reward):
    """A reward that a service computes, called over HTTP by the trainer."""

    HOW: ClassVar[frozenset[str]] = frozenset(
        {
            *("weight", "name", "correctness", "secret", "seconds", "tries", "concurrency"),
            *("requests_per_minute", "tokens_per_minute"),
        }
    )
    """Settings on which no score depends."""

    url: ServiceUrl = Field(description="Address of the service, http or https.")
    version: str = Field(
        default="",
        max_length=100,
        description="Version of the service or of its model: kept scores of another version are "
        "not used.",
    )
    seconds: float = Field(
        default=30.0,
        gt=0,
        le=600,
        description="Time limit of one request, from its start to the answer's last byte [s].",
    )
    tries: int = Field(
        default=4,
        ge=1,
        le=10,
        description="Requests until an answer, where the service is away or asks to wait.",
    )
    concurrency: int = Field(default=8, ge=1, le=64, description="Requests at the same time.")
    requests_per_minute: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Requests started per minute; null: no limit."
    )
    tokens_per_minute: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000_000,
        description="Tokens sent per minute, at four characters a token; null: no limit.",
    )

    _access: ServiceAccess | None = PrivateAttr(default=None)

    @property
    def remote(self) -> bool:
        return True

    @property
    def compares(self) -> bool:
        """Whether a score depends on the other completions of the group."""
        return False

    @property
    def endpoint(self) -> str:
        """Address of the requests."""
        return self.url

    @property
    def host(self) -> str:
        """Host of the service, with its port unless that is https's."""
        return host_and_port(parsed(self.url))

    @property
    def sends_secret(self) -> bool:
        """Whether the secret's value is sent to the service."""
        return False

    @property
    def secrets(self) -> Mapping[str, str]:
        """Names of the secrets that the calls need, by the fields that name them."""
        return {}

    @property
    def together(self) -> int:
        """Largest number of questions in one request."""
        return 1

    def with_access(self, access: ServiceAccess) -> Self:
        """Return the reward with access to its service, for scoring in another process."""
        bound = self.model_copy()
        bound._access = access
        return bound

    def identity(self) -> dict[str, Any]:
        """Return the settings on which a score depends."""
        return self.model_dump(mode="json", exclude=set(self.HOW))

    def questions(self, cases: Sequence[Case]) -> list[Question]:
        """Return all that has to be asked for the scores of some cases."""
        identity = self.identity()
        return [question(identity, case) for case in cases]

    def scores(
        self, cases: Sequence[Case], answers: Mapping[str, float | Failed]
    ) -> list[float | Failed]:
        """Return the cases' scores from the answers to `questions`, by their keys."""
        return [answers[asked.key] for asked in self.questions(cases)]

    @abstractmethod
    def ask(
        self, asked: Sequence[Question], calls: Calls, access: ServiceAccess
    ) -> list[float | Failed]:
        """Ask the service, and return its answer to each question.

        Raises:
            CallFailed: there is no answer.
            Closed: the run ends.
        """

    def check_access(self, access: ServiceAccess) -> None:
        """
        Raises:
            SecretMissing: a secret is not there, or cannot be used.
        """

    def open_calls(self, access: ServiceAccess, closing: threading.Event) -> Calls:
        """Return the calls of this reward, which all its threads share."""
        from grpo.net.post import Poster

        settings = CallSettings(
            self.endpoint,
            self.seconds,
            self.tries,
            self.requests_per_minute,
            self.tokens_per_minute,
        )
        hidden = [access.secret(name) for name in self.secrets.values()]
        poster = Poster(access.private)
        return Calls(settings, poster, hidden=hidden[0] if hidden else None, closing=closing)

    def score(self, case: Case) -> float:
        """Return one completion's score, as `score_all` does."""
        (found,) = self.score_all([case])
        if isinstance(found, Failed):
            raise ScoreMissing(found.cause)
        return found

    def score_all(self, cases: Sequence[Case]) -> list[float | Failed]:
        from grpo.rewards.service.scores import ServiceScores

        assert self._access is not None, "with_access comes first"
        with ServiceScores([self], self._access, kept=None) as scores:
            return scores.start(0, cases)()
