"""What the server answers with, as objects."""

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """Frozen; fields that a newer server adds are kept, and are attributes too."""

    model_config = ConfigDict(frozen=True, extra="allow")
