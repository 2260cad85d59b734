"""Base class of the server's answers."""

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """A frozen object; fields that a newer server adds are kept as attributes."""

    model_config = ConfigDict(frozen=True, extra="allow")
