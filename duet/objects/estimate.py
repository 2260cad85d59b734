"""What a spec would become, and what it would cost."""

from typing import Any

from duet.objects.answer import Answer
from duet.objects.trial import Preflight


class Validated(Answer):
    """What a spec that can work would become."""

    spec: dict[str, Any]
    """The resolved spec: defaults < preset < yours."""
    num_prompts: int | None = None
    total_steps: int | None = None
    preflight: Preflight | None = None
    """Its rewards on rows of its data."""


class Memory(Answer):
    """A run's memory by purpose [bytes], each at its own highest."""

    device: str
    total: int
    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    reference: int
    engine: int
    rollout: int
    runtime: int


class GroupSizeEstimate(Answer):
    """What the spec costs with so many rollouts a prompt; None where it is not known."""

    group_size: int
    steps: int | None = None
    updates: int | None = None
    rollouts: int | None = None
    longest_tokens: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    measured_on: int
    """Jobs of this model and group size that say so."""
    memory: Memory | None = None
    memory_unknown: str | None = None


class Estimates(Answer):
    """The spec itself first, then the other group sizes."""

    spec: dict[str, Any]
    num_prompts: int | None = None
    estimates: list[GroupSizeEstimate]
