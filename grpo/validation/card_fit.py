"""A spec compared with the GPU that it would run on."""

from collections.abc import Mapping
from typing import Any

from grpo.estimate.changes import changes_that_fit
from grpo.estimate.families import FAMILIES
from grpo.estimate.fit import Fit, fit
from grpo.estimate.memory import GIB
from grpo.spec.job import JobSpec


def card_problem(
    spec: JobSpec, config: Mapping[str, Any], card_bytes: int, *, has_vllm: bool = True
) -> tuple[str, str] | None:
    """Return why a job cannot run on a GPU of this memory and what would change that, with its
    pointer; None: it fits, or the shape of its model is not known well enough to refuse it."""
    try:
        found = fit(spec, config, card_bytes, has_vllm=has_vllm)
        if found.fits or not _is_counted(config):
            return None
        changes = changes_that_fit(spec, config, card_bytes, has_vllm=has_vllm)
    except (ValueError, AttributeError, KeyError, TypeError, ArithmeticError):
        return None  # a config.json of any shape
    numbered = "; ".join(f"({number}) {each}" for number, each in enumerate(changes, start=1))
    what = "one of these makes it fit" if len(changes) > 1 else "this makes it fit"
    detail = f"{_reason(found)}; {what}: {numbered}" if changes else _reason(found)
    only_the_share = found.fits_at_another_fraction
    return ("/rollout/gpu_memory_fraction" if only_the_share else "/model"), detail


def _is_counted(config: Mapping[str, Any]) -> bool:
    """Whether the family's memory was compared with its models; others are only assumed."""
    kind = (config.get("text_config") or config).get("model_type")
    return kind in FAMILIES


def _reason(found: Fit) -> str:
    card = _gib(found.card_bytes)
    if not found.update_fits:
        return (
            f"an update takes {_gib(found.update_bytes)}, one row at a time, and the GPU has {card}"
        )
    share = found.fraction * found.card_bytes
    if share < found.engine_bytes:
        return (
            f"the rollout engine needs {_gib(found.engine_bytes)} (weights, cache of one row), and "
            f"rollout.gpu_memory_fraction {found.fraction:g} gives it {_gib(share)} of the GPU's "
            f"{card}"
        )
    return (
        f"the trainer keeps {_gib(found.kept_bytes)} (weights, optimizer, reference) and "
        f"rollout.gpu_memory_fraction {found.fraction:g} takes {_gib(share)}: together "
        f"{_gib(found.kept_bytes + share)}, and the GPU has {card}"
    )


def _gib(num_bytes: float) -> str:
    return f"{num_bytes / GIB:.1f} GiB"
