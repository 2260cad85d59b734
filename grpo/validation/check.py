"""Check of a resolved spec before training: each problem with its JSON pointer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from grpo.budget import total_steps
from grpo.rewards.reward import Case, Reward
from grpo.spec.data import Data
from grpo.spec.job import JobSpec
from grpo.spec.resolve import MAX_PROBLEMS, SpecError
from grpo.validation.data_check import DataCheck
from grpo.validation.facts import FactsOf
from grpo.validation.model_config import ModelContext
from grpo.validation.results import Estimate, Preflight
from grpo.validation.row_checks import CheckStored, RowChecks
from grpo.values.section import MOST

ContextOf = Callable[[str], ModelContext | None]
"""Returns the context of a model by its source; None: unknown here.

Raises ValueError if the model does not exist or is not allowed.
"""

Problems = Sequence[tuple[str, str]]
RewardProblems = Callable[[Sequence[Reward]], Problems]
"""Returns the problems of a spec's rewards, with pointers into it."""


@dataclass(frozen=True)
class CheckedSpec:
    """A spec without known problems."""

    spec: JobSpec
    num_prompts: int | None
    total_steps: int | None
    needs_gpu: bool = False
    """No machine of the queue's workers, which have no GPU, has the memory to train on its CPU."""

    def estimate(self, preflight: Preflight | None = None) -> Estimate:
        """Return the result of a request that only validates."""
        return Estimate(
            spec=self.spec.model_dump(mode="json"),
            num_prompts=self.num_prompts,
            total_steps=self.total_steps,
            preflight=preflight,
        )


class SpecCheck:
    """Checks the resolved specs of one request; their common parts are checked once.

    A `Resolver` makes common sections identical objects.
    """

    def __init__(
        self,
        *,
        context_of: ContextOf,
        facts_of: FactsOf,
        check_stored: CheckStored,
        reward_problems: RewardProblems,
    ) -> None:
        self._context_of = context_of
        self._reward_problems = reward_problems
        self._data = DataCheck(facts_of, RowChecks(check_stored))
        self._contexts: dict[str, ModelContext | ValueError | None] = {}
        self._checked: dict[tuple[int, ...], tuple[Data, Sequence[Reward], Problems]] = {}
        """Results, by the identities of data and rewards."""

    def check(self, spec: JobSpec) -> CheckedSpec:
        """Look for settings that cannot work.

        Raises:
            SpecError: with every problem found.
        """
        problems = [
            *self._model_problems(spec),
            *self._of_data_and_rewards(spec.data, spec.rewards),
        ]
        if problems:
            raise SpecError(problems)
        prompts = self._data.num_prompts(spec.data)
        return CheckedSpec(spec, prompts, _steps(spec, prompts))

    def samples(self, data: Data, count: int) -> list[Case]:
        """Return `DataCheck.samples` of checked data."""
        return self._data.samples(data, count)

    def _of_data_and_rewards(self, data: Data, rewards: Sequence[Reward]) -> Problems:
        key = (id(data), *map(id, rewards))
        if key not in self._checked:
            of_data = islice(self._data.problems(data, rewards), MAX_PROBLEMS)
            self._checked[key] = (data, rewards, [*of_data, *self._reward_problems(rewards)])
        return self._checked[key][2]

    def _model_problems(self, spec: JobSpec) -> Iterator[tuple[str, str]]:
        context = self._context(spec.model.source)
        if isinstance(context, ValueError):
            yield "/model/source", str(context)
            return
        if context is None or context.tokens is None:
            return
        asked = spec.model.context_tokens  # overrides the config's, and is checked with the spec
        needed = spec.data.max_prompt_tokens + spec.rollout.max_tokens
        if asked is not None and asked > context.tokens and context.rope_type is not None:
            yield (
                "/model/context_tokens",
                f"above the {context.tokens} of the model's config, from which its rotary "
                f"embeddings (rope_type {context.rope_type}) are computed: a larger number would "
                f"change what the model computes; set at most {context.tokens}",
            )
        elif asked is None and needed > context.tokens:
            yield (
                "/rollout/max_tokens",
                f"prompts of up to {spec.data.max_prompt_tokens} tokens (data.max_prompt_tokens) "
                f"and completions of up to {spec.rollout.max_tokens} need a context of {needed}; "
                f"the model's context is {context.tokens}; model.context_tokens overrides it",
            )

    def _context(self, source: str) -> ModelContext | ValueError | None:
        """Return a model's context, or the error if the model cannot be used."""
        if source not in self._contexts:
            try:
                self._contexts[source] = self._context_of(source)
            except ValueError as error:
                self._contexts[source] = error
        return self._contexts[source]


def _steps(spec: JobSpec, prompts: int | None) -> int | None:
    """Return the steps of a spec over its prompts; None: the number of prompts is unknown.

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
