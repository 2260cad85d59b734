"""The frozen pydantic model that every part of a job spec is made of."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One part of a spec: immutable, and an unknown field is an error that names it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
