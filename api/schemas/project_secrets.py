"""A project's secrets, as the API takes and shows them."""

import re
from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.schemas.base import View
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


class SecretView(View):
    """A secret: its name and dates, never its value."""

    name: str
    created_at: datetime
    updated_at: datetime = Field(description="When its value was last set.")

    @classmethod
    def of(cls, secret: ProjectSecret) -> Self:
        return cls(name=secret.name, created_at=secret.created_at, updated_at=secret.updated_at)
