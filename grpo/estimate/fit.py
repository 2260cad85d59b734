"""Whether a job fits on a GPU: its update alone, and what it keeps beside a rollout engine.

The engine sleeps during updates and gives its share back; at every wake it maps its share again,
beside what the trainer keeps.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grpo.budget import TOKEN_BUDGET
from grpo.estimate.architecture import read_architecture
from grpo.estimate.memory import GIB, compute_width, estimate_memory
from grpo.spec.job import JobSpec

# Of vLLM on a GPU, beside weights and cache: a forward pass's tensors and its CUDA graphs, and the
# part that stays while it sleeps.  Unverified.
ENGINE_WORK_BYTES, SLEEPING_ENGINE_BYTES = 1 * GIB, 1 * GIB


@dataclass(frozen=True)
class Fit:
    """A job on a card of a size."""

    card_bytes: int
    update_bytes: int
    """Most memory of an update, in the largest micro-batches that fit; or in the smallest."""
    micro_batch_tokens: int | None
    """None: not even one of the longest rows fits."""
    kept_bytes: int
    """Memory that the trainer keeps while the engine is awake, with the context of CUDA."""
    engine_bytes: int
    """Least memory of an engine that can hold one of the longest rows; 0: it shares no GPU."""
    fraction: float
    """`rollout.gpu_memory_fraction`."""

    @property
    def update_fits(self) -> bool:
        return self.micro_batch_tokens is not None

    @property
    def least_fraction(self) -> float:
        """Least fraction of the card that the engine can use, in hundredths."""
        return math.ceil(100 * self.engine_bytes / self.card_bytes) / 100

    @property
    def most_fraction(self) -> float:
        """Largest fraction of the card that is free at a wake, in hundredths."""
        return math.floor(100 * (1 - self.kept_bytes / self.card_bytes)) / 100

    @property
    def engine_fits(self) -> bool:
        if self.engine_bytes == 0:
            return True
        share = self.fraction * self.card_bytes
        return self.engine_bytes <= share <= self.card_bytes - self.kept_bytes

    @property
    def fits(self) -> bool:
        return self.update_fits and self.engine_fits

    @property
    def fits_at_another_fraction(self) -> bool:
        return self.update_fits and 0 < self.least_fraction <= self.most_fraction < 1


def fit(spec: JobSpec, config: Mapping[str, Any], card_bytes: int, *, has_vllm: bool = True) -> Fit:
    """Compare a job with a card.

    Args:
        config: the model's config.json.
        has_vllm: `rollout.engine: auto` is vLLM; the transformers engine sleeps in the host's
            memory.

    Raises:
        ValueError: the shape of the model is unknown.
    """
    shares = spec.rollout.engine == "vllm" or (spec.rollout.engine == "auto" and has_vllm)
    longest_row = spec.data.max_prompt_tokens + spec.rollout.max_tokens
    asleep = SLEEPING_ENGINE_BYTES if shares else 0
    tokens = TOKEN_BUDGET["cuda"]
    while True:
        memory = estimate_memory(spec, config, device="cuda", token_budget=tokens, engine="vllm")
        update_bytes = memory.total + asleep
        if update_bytes <= card_bytes or tokens <= longest_row:
            break
        tokens = max(longest_row, tokens // 2)  # as `TokenBudget` does when memory runs out
    return Fit(
        card_bytes=card_bytes,
        update_bytes=update_bytes,
        micro_batch_tokens=tokens if update_bytes <= card_bytes else None,
        kept_bytes=memory.kept + memory.runtime,
        engine_bytes=_engine_bytes(spec, config) if shares else 0,
        fraction=spec.rollout.gpu_memory_fraction,
    )


def _engine_bytes(spec: JobSpec, config: Mapping[str, Any]) -> int:
    """Return the least memory in which vLLM starts: it refuses a cache that is shorter than the
    longest prompt and completion."""
    shape, width = read_architecture(config), compute_width(spec, "cuda")
    longest = spec.data.max_prompt_tokens + spec.longest_completion
    cache = 2 * shape.kv_width * width * shape.num_layers * longest
    return shape.num_parameters * width + cache + ENGINE_WORK_BYTES
