"""What a spec will cost, as the API shows it."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.base import View
from api.schemas.jobs import ResolvedSpec
from grpo.estimate.memory import Device, MemoryEstimate


class ToEstimate(BaseModel):
    """A spec, and the group sizes that it is compared with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: dict[str, Any] = Field(default={}, description="As for `POST /v1/jobs`.")
    group_sizes: list[int] = Field(
        default=[2, 16],
        max_length=16,
        description="The same spec is estimated with each of these too.",
    )


class Memory(View):
    """A run's memory by purpose [bytes], each at its own highest."""

    device: Device = Field(description="cpu: in the trainer's process; cuda: on the card.")
    total: int
    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    reference: int
    engine: int
    rollout: int
    runtime: int = Field(description="The libraries, and what the allocator holds.")

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
    """What the spec costs with so many rollouts a prompt."""

    group_size: int
    steps: int | None = Field(description="Null, as all counts, while the data's size is unknown.")
    updates: int | None = Field(description="Optimizer steps.")
    rollouts: int | None = Field(description="Without those drawn again for ties.")
    longest_tokens: int | None = Field(description="With every text as long as allowed.")
    tokens: int | None = Field(description="At the lengths measured here; null: none were.")
    seconds: float | None = Field(description="At the speed measured here; null: none was.")
    measured_on: int = Field(description="Jobs of this model and group size that say so.")
    memory: Memory | None = Field(description="Null: see `memory_unknown`.")
    memory_unknown: str | None = Field(description="Why it is not known.")


class Estimates(View):
    """What a spec would cost: the spec itself first, then the other group sizes."""

    spec: ResolvedSpec
    num_prompts: int | None = Field(description="Rows of the training data; null: not known.")
    estimates: list[GroupSizeEstimate]
