"""A browser's session, as the API shows it."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from api.dependencies.auth import Caller
from api.schemas.server import Me, OwnKey, OwnProject


class SignIn(BaseModel):
    """A key to exchange for a session."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(max_length=200, description="`duet_` and 49 characters.")


class SessionView(Me):
    """The signed-in key and project."""

    csrf_token: str = Field(
        description="Token that changes must send in the header `X-CSRF-Token`, in addition "
        "to the cookie."
    )
    expires_at: datetime

    @classmethod
    def of(cls, caller: Caller, *, csrf_token: str, expires_at: datetime) -> Self:
        return cls(
            key=OwnKey.of(caller),
            project=OwnProject.of(caller),
            csrf_token=csrf_token,
            expires_at=expires_at,
        )
