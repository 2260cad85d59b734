"""A spec's resolved form and its estimated cost."""

from typing import Any

from duet.objects.answer import Answer
from duet.objects.trial import Preflight


class Validated(Answer):
    """The result of validating a spec."""

    spec: dict[str, Any]
    """The resolved spec: defaults < preset < yours."""
    num_prompts: int | None = None
    total_steps: int | None = None
    preflight: Preflight | None = None
    """Results of its rewards on rows of its data."""


class Memory(Answer):
    """A run's memory by purpose [bytes], each at its own peak."""

    device: str
    assumed_engine: str
    """Rollout engine that the numbers are for."""
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
    """The spec's estimated cost at one group size; None where it is unknown."""

    group_size: int
    steps: int | None = None
    updates: int | None = None
    rollouts: int | None = None
    longest_tokens: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    measured_on: int
    """Number of earlier jobs of this model and group size that the estimate is based on."""
    memory: Memory | None = None
    memory_unknown: str | None = None


class Estimates(Answer):
    """Estimates for the spec's own group size first, then for the others."""

    spec: dict[str, Any]
    num_prompts: int | None = None
    estimates: list[GroupSizeEstimate]
