"""A project's secrets, as the API takes and shows them."""

import re
from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.schemas.base import View
from grpo.net.public_address import AddressRefused, host_and_port, parsed
from store.tables import ProjectSecret

MOST_CHARACTERS = 8192
ONE_WORD = re.compile(r"[\x21-\x7e]+")


def _checked(value: str) -> str:
    """Refuse what no HTTP header can carry; the message does not repeat it."""
    if not ONE_WORD.fullmatch(value):
        raise ValueError(
            "must be printable ASCII characters without spaces or line breaks, as HTTP headers "
            "carry them"
        )
    return value


def _as_host(written: str | None) -> str | None:
    """Refuse a host that no address has."""
    if written is None:
        return None
    try:
        host = host_and_port(parsed(f"https://{written}/"))
    except AddressRefused:
        host = ""
    if host != written.lower().removesuffix(":443"):
        raise ValueError(
            "must be a host, with its port unless that is 443: api.openai.com, grader.internal:8000"
        )
    return host


Host = Annotated[str | None, AfterValidator(_as_host)]


class NewSecret(BaseModel):
    """Request that sets a secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MOST_CHARACTERS,
            repr=False,
            description="Printable ASCII characters without spaces. No answer shows it.",
            json_schema_extra={"pattern": r"^[\x21-\x7e]+$", "writeOnly": True},
        ),
        AfterValidator(_checked),
    ]
    host: Host = Field(
        default=None,
        min_length=1,
        max_length=253,
        description="Host to which rewards may send the value as a key, such as the API of a "
        "judge: api.openai.com. Null: it is sent nowhere, but to the Hugging Face hub if it is its "
        "token.",
    )


class SecretView(View):
    """A secret: its name, host and dates, never its value."""

    name: str
    host: str | None = Field(
        description="Host to which rewards may send it, with its port unless that is 443; null: "
        "none."
    )
    created_at: datetime
    updated_at: datetime = Field(description="When its value was last set.")

    @classmethod
    def of(cls, secret: ProjectSecret) -> Self:
        return cls(
            name=secret.name,
            host=secret.host,
            created_at=secret.created_at,
            updated_at=secret.updated_at,
        )
