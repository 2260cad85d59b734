"""Check of a resolved spec before it is trained: each problem with its pointer."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from grpo.budget import total_steps
from grpo.spec.job import JobSpec
from grpo.spec.resolve import MAX_PROBLEMS, SpecError
from grpo.validation.data_check import Problems, data_problems, num_prompts
from grpo.validation.facts import FactsOf
from grpo.validation.results import Estimate, Preflight
from grpo.validation.reward_fields import unknown_fields
from grpo.validation.row_checks import CheckStored, RowChecks
from grpo.values.section import MOST

ContextOf = Callable[[str], int | None]
"""Returns the context of a model by its source [tokens]; None: unknown here.

Raises ValueError where the model does not exist or may not be used.
"""


@dataclass(frozen=True)
class CheckedSpec:
    """A spec without a known problem."""

    spec: JobSpec
    num_prompts: int | None
    total_steps: int | None

    def estimate(self, preflight: Preflight | None = None) -> Estimate:
        """Return the result of a request that only validates."""
        return Estimate(
            spec=self.spec.model_dump(mode="json"),
            num_prompts=self.num_prompts,
            total_steps=self.total_steps,
            preflight=preflight,
        )


def check_spec(
    spec: JobSpec,
    *,
    context_of: ContextOf,
    facts_of: FactsOf,
    check_stored: CheckStored,
    further: Iterable[tuple[str, str]],
) -> CheckedSpec:
    """Look for settings that cannot work.

    Args:
        further: problems that the caller has found.

    Raises:
        SpecError: with every problem found.
    """
    data, rows = spec.data, RowChecks(spec.rewards, check_stored)
    problems = [
        *_model_problems(spec, context_of),
        *islice(unknown_fields(spec.rewards, data, facts_of), MAX_PROBLEMS),
        *islice(data_problems(data, facts_of, rows.check), MAX_PROBLEMS),
        *further,
    ]
    if problems:
        raise SpecError(problems)
    prompts = num_prompts(data, facts_of)
    return CheckedSpec(spec, prompts, _steps(spec, prompts))


def context_at(folder: Path) -> int | None:
    """Return the context of a folder's model; None: the folder cannot be used, or does not say."""
    try:
        return context_in((folder / "config.json").read_bytes())
    except OSError:
        return None


def context_in(config: bytes) -> int | None:
    """Return the context in a model's config.json [tokens]; None: not stated."""
    try:
        written = json.loads(config)
        context = written.get("text_config", written)["max_position_embeddings"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return context if isinstance(context, int) else None


def _model_problems(spec: JobSpec, context_of: ContextOf) -> Problems:
    try:
        context = context_of(spec.model.source)
    except ValueError as error:
        yield "/model/source", str(error)
        return
    if spec.model.context_tokens is not None:
        return  # in place of the config's, and checked with the spec
    needed = spec.data.max_prompt_tokens + spec.rollout.max_tokens
    if context is not None and needed > context:
        yield (
            "/rollout/max_tokens",
            f"prompts of up to {spec.data.max_prompt_tokens} tokens (data.max_prompt_tokens) "
            f"and completions of up to {spec.rollout.max_tokens} need a context of {needed}; "
            f"the model's context is {context}; model.context_tokens sets another",
        )


def _steps(spec: JobSpec, prompts: int | None) -> int | None:
    """Steps of a spec over its prompts; None: the number of prompts is unknown.

    Raises:
        SpecError: more steps than a job may have.
    """
    if prompts is None:
        return None
    steps = total_steps(spec, prompts)
    if steps > MOST:
        detail = f"{prompts:,} prompts make {steps:,} steps; a job may have at most {MOST:,}"
        raise SpecError([("/budget/epochs", detail)])
    return steps
