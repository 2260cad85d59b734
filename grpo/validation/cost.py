"""Cost estimate of a spec, from the spec, its data, its model, and past jobs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grpo.budget import TOKEN_BUDGET, size
from grpo.estimate.memory import Device, MemoryEstimate, estimate_memory
from grpo.spec.job import JobSpec
from grpo.spec.resolve import merge
from grpo.spec.rollout import EngineName
from grpo.validation.check import CheckedSpec
from grpo.validation.results import GroupSizeEstimate, Memory


@dataclass(frozen=True)
class Pace:
    """Medians over jobs of one model and one group size."""

    seconds_per_rollout: float
    """A step's total time divided by its completions."""
    tokens_per_rollout: float
    """Mean tokens of prompt plus completion."""
    num_jobs: int


def at_group_sizes(
    written: Mapping[str, Any],
    group_sizes: Sequence[int],
    check: Callable[[Mapping[str, Any]], CheckedSpec],
) -> Iterator[CheckedSpec]:
    """Yield a spec checked at its own group size, then at the others.

    Raises:
        SpecError: with every problem found.
    """
    own = check(written)
    yield own
    for group_size in dict.fromkeys(group_sizes):
        if group_size != own.spec.algorithm.group_size:
            yield check(merge(written, {"algorithm": {"group_size": group_size}}))


def estimate_cost(
    checked: CheckedSpec,
    *,
    device: Device,
    config_of: Callable[[str], Mapping[str, Any]],
    pace: Pace | None,
) -> GroupSizeEstimate:
    """Estimate the cost of a checked spec; unknown values are null.

    Args:
        config_of: the config.json of a model by its source; it raises ValueError if unknown.
        pace: of past jobs of this model and group size; None: no such jobs.
    """
    spec, num_prompts = checked.spec, checked.num_prompts
    counts = None if num_prompts is None else size(spec, num_prompts)
    seconds = tokens = None
    if counts is not None and pace is not None:
        seconds = counts.rollouts * pace.seconds_per_rollout
        tokens = round(counts.rollouts * pace.tokens_per_rollout)
    try:
        estimate = memory_of(spec, config_of(spec.model.source), device)
        memory, unknown = Memory.of(estimate, device, assumed_engine(spec)), None
    except ValueError as error:
        memory, unknown = None, str(error)
    return GroupSizeEstimate(
        group_size=spec.algorithm.group_size,
        steps=counts and counts.steps,
        updates=counts and counts.updates,
        rollouts=counts and counts.rollouts,
        longest_tokens=counts and counts.longest_tokens,
        tokens=tokens,
        seconds=seconds,
        measured_on=pace.num_jobs if pace else 0,
        memory=memory,
        memory_unknown=unknown,
    )


def unknown_shape(source: str) -> ValueError:
    """Return the error for a model whose config cannot be read here."""
    return ValueError(f"the architecture of {source!r} is unknown here")


def assumed_engine(spec: JobSpec) -> EngineName:
    """Return the engine that a worker is assumed to use: for `auto`, vLLM."""
    return "vllm" if spec.rollout.engine == "auto" else spec.rollout.engine


def memory_of(spec: JobSpec, config: Mapping[str, Any], device: Device) -> MemoryEstimate:
    """Return the memory by purpose.

    Raises:
        ValueError: the config is not a supported model's.
    """
    try:
        return estimate_memory(
            spec,
            config,
            device=device,
            token_budget=TOKEN_BUDGET[device],
            engine=assumed_engine(spec),
        )
    except (AttributeError, KeyError, TypeError, ArithmeticError) as error:
        # A folder's config.json can contain anything.
        reason = f"its config.json is not a model's config ({type(error).__name__})"
        raise ValueError(
            f"the architecture of {spec.model.source!r} is unknown: {reason}"
        ) from None
