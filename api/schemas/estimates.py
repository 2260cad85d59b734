"""Requests for cost estimates."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class ToEstimate(BaseModel):
    """A spec, and group sizes to compare it with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: dict[str, Any] = Field(default={}, description="As for `POST /v1/jobs`.")
    group_sizes: list[int] = Field(
        default=[2, 16],
        max_length=16,
        description="Further group sizes to estimate the spec with.",
    )
