"""`http`: scores of the author's own service."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Literal

from pydantic import Field

from grpo.rewards.grading import Failed
from grpo.rewards.service.access import SecretMissing, ServiceAccess
from grpo.rewards.service.calls import CallFailed, Calls
from grpo.rewards.service.formats import FORMATS, Context, FormatName, decoded, encoded
from grpo.rewards.service.question import Question
from grpo.rewards.service.service_reward import SecretName, ServiceReward

PLAIN = "http://"


class HttpReward(ServiceReward):
    """Number that the author's own service answers for a completion.

    The service gets the prompt's messages, the completion and the row; several completions a
    request.  See docs/rewards.md.
    """

    type: Literal["http"] = Field(description="Type of the reward.")
    secret: SecretName | None = Field(
        default=None,
        description="Name of a project's secret (whsec_...) that signs requests as specified by "
        "Standard Webhooks; null: not signed.",
    )
    format: FormatName = Field(
        default="duet",
        description="Shape of requests and answers.  duet: as documented; openai: endpoint "
        "graders of Azure OpenAI; sagemaker: reward functions of SageMaker.",
    )
    batch_size: int = Field(
        default=16, ge=1, le=256, description="Largest number of completions in one request."
    )

    @property
    def secrets(self) -> Mapping[str, str]:
        return {} if self.secret is None else {"secret": self.secret}

    @property
    def reads_row(self) -> bool:
        return True

    @property
    def graded(self) -> bool:
        return True

    @property
    def together(self) -> int:
        return 1 if FORMATS[self.format].one_by_one else self.batch_size

    def identity(self) -> dict[str, object]:
        settings = super().identity()
        settings.pop("batch_size")
        # A service may score by the name that it is sent, in the one format that has it.
        return {**settings, "reward": self.part} if self.format == "duet" else settings

    def check_access(self, access: ServiceAccess) -> None:
        if self.secret is None:
            return
        from grpo.net.signature import is_signing_secret

        if not is_signing_secret(access.secret(self.secret)):
            raise SecretMissing(
                f"the secret {self.secret} cannot sign requests: set it to whsec_ followed by 24 "
                "to 64 random bytes in base64"
            )

    def ask(
        self, asked: Sequence[Question], calls: Calls, access: ServiceAccess
    ) -> list[float | Failed]:
        shape = FORMATS[self.format]
        body = encoded(shape.write(asked, Context(self.part, access.job)))
        number = f"req_{asked[0].key[:32]}"
        headers = partial(self._headers, number, body, access)
        answer = calls.post(body, headers, tokens=sum(each.tokens for each in asked))
        if self.secret is not None and self.url.lower().startswith(PLAIN):
            self._check_signed(answer.headers, answer.body, number, access)
        return shape.read(decoded(answer.body), asked)

    def _headers(self, number: str, body: bytes, access: ServiceAccess) -> Mapping[str, str]:
        """Return the headers of one try; a later try has the same id."""
        if self.secret is None:
            return {}
        from grpo.net.signature import signed_headers

        secrets = [access.secret(self.secret)]
        return signed_headers(secrets, id=number, at=datetime.now(UTC), body=body.decode())

    def _check_signed(
        self, headers: Mapping[str, str], body: bytes, number: str, access: ServiceAccess
    ) -> None:
        """Check that the answer comes from the holder of the secret, which TLS shows elsewhere.

        Raises:
            CallFailed: it does not.
        """
        from grpo.net.signature import NotSigned, check_signature

        assert self.secret is not None
        try:
            check_signature(access.secret(self.secret), headers, body, id=number)
        except NotSigned as error:
            raise CallFailed(
                f"its answer over http is not signed by the secret {self.secret}: {error}"
            ) from None
