"""A GPU's memory, shared by the trainer and a rollout engine that sleeps during updates."""

from dataclasses import dataclass

GIB = 2**30
LEAST_FRACTION = 0.05
"""Share of a GPU's memory below which an engine is useless."""


@dataclass(frozen=True)
class Misfit:
    """Reason why an engine cannot wake on a GPU, and advice on what to change."""

    reason: str
    advice: str


def engine_misfit(*, kept_bytes: int, card_bytes: int, fraction: float) -> Misfit | None:
    """Compare the memory that the trainer always keeps with what an engine maps at every wake;
    None: both fit.

    `fraction`: `rollout.gpu_memory_fraction`, of the GPU's total memory.
    """
    together = kept_bytes + fraction * card_bytes
    if together <= card_bytes:
        return None
    reason = (
        f"the trainer keeps {_gib(kept_bytes)} (weights, optimizer, reference) and "
        f"rollout.gpu_memory_fraction {fraction:g} takes {_gib(fraction * card_bytes)}: together "
        f"{_gib(together)}, and the GPU has {_gib(card_bytes)}"
    )
    largest = int(100 * (1 - kept_bytes / card_bytes)) / 100
    if largest >= LEAST_FRACTION:
        return Misfit(reason, f"lower rollout.gpu_memory_fraction to at most {largest:g}")
    return Misfit(
        reason,
        "set model.lora or optimizer.name: adamw_8bit, or choose a smaller model or a larger GPU",
    )


def _gib(num_bytes: float) -> str:
    return f"{num_bytes / GIB:.1f} GiB"
