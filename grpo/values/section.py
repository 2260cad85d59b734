"""The frozen pydantic base model of every section of a job spec."""

from pydantic import BaseModel, ConfigDict

MOST = 2**31 - 1
"""Upper bound of counts (steps, tokens, prompts): the range of an integer in Postgres."""
LARGEST = 1e6
"""Upper bound of factors and thresholds; sums of larger values could overflow."""
MAX_NAME = 200
MAX_TEXT = 100_000


class Section(BaseModel):
    """One section of a spec: immutable; an unknown field is an error that names it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
