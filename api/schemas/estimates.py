"""Cost estimates, as the API shows them."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.base import View
from api.schemas.jobs import ResolvedSpec
from grpo.estimate.memory import Device, MemoryEstimate


class ToEstimate(BaseModel):
    """A spec, and group sizes to compare it with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: dict[str, Any] = Field(default={}, description="As for `POST /v1/jobs`.")
    group_sizes: list[int] = Field(
        default=[2, 16],
        max_length=16,
        description="Further group sizes to estimate the spec with.",
    )


class Memory(View):
    """A run's memory by purpose [bytes], each at its peak."""

    device: Device = Field(description="cpu: in the trainer's process; cuda: on the GPU.")
    total: int
    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    reference: int
    engine: int
    rollout: int
    runtime: int = Field(description="Libraries and allocator overhead.")

    @classmethod
    def of(cls, estimate: MemoryEstimate, device: Device) -> Self:
        parts = ("weights", "gradients", "optimizer", "activations", "logits", "reference")
        return cls(
            device=device,
            total=estimate.total,
            engine=estimate.engine,
            rollout=estimate.rollout,
            runtime=estimate.runtime + estimate.slack,
            **{name: getattr(estimate, name) for name in parts},
        )


class GroupSizeEstimate(View):
    """The spec's cost at one group size."""

    group_size: int
    steps: int | None = Field(
        description="Null, like all counts, while the dataset size is unknown."
    )
    updates: int | None = Field(description="Optimizer steps.")
    rollouts: int | None = Field(description="Excluding redraws for ties.")
    longest_tokens: int | None = Field(description="Upper bound: every text at its maximum length.")
    tokens: int | None = Field(
        description="At lengths measured on this server; null without measurements."
    )
    seconds: float | None = Field(
        description="At speeds measured on this server; null without measurements."
    )
    measured_on: int = Field(
        description="Number of past jobs of this model and group size that the time is based on."
    )
    memory: Memory | None = Field(description="Null: see `memory_unknown`.")
    memory_unknown: str | None = Field(description="Why the memory is unknown.")


class Estimates(View):
    """Estimates of a spec: at its own group size first, then at the others."""

    spec: ResolvedSpec
    num_prompts: int | None = Field(description="Rows of the training data; null: unknown.")
    estimates: list[GroupSizeEstimate]
