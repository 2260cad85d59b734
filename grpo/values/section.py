"""The frozen pydantic model that every part of a job spec is made of."""

from pydantic import BaseModel, ConfigDict

MOST = 2**31 - 1
"""Of what is counted: steps, tokens, prompts; what Postgres keeps in an integer."""
LARGEST = 1e6
"""Of factors and bounds: beyond it sums of them are no numbers any more."""
MAX_NAME = 200
MAX_TEXT = 100_000


class Section(BaseModel):
    """One part of a spec: immutable, and an unknown field is an error that names it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
