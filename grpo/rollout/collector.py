"""Collection of a step's batch: which groups it holds, and how ties are handled."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from grpo.data.prompt_sampler import PromptSampler
from grpo.data.prompts import Prompt
from grpo.errors import RunError
from grpo.rollout.baseline_memory import BaselineMemory
from grpo.rollout.groups import Group, compare, find_ties
from grpo.rollout.rollouter import DrawCounts, PartialGroup, Rollouter
from grpo.rollout.scorer import ScoreFailure, too_many_failed
from grpo.spec.algorithm import Algorithm

DRAWS_FOR_TIMEOUTS = 3
GROWTH = 2  # completions added to a tied group at a time
# Lower bound on the assumed share of contrasts; it limits how many groups are drawn at a time.
LOWEST_KEEP_RATE = 0.05


@dataclass(frozen=True)
class Batch:
    """The groups that a step trains on, and the other groups that were drawn."""

    groups: tuple[Group, ...]
    discarded: tuple[Group, ...]  # drawn but not kept: replaced, or lost while growing
    failures: tuple[ScoreFailure, ...]
    num_skipped: int  # groups left out because a reward failed
    num_rollouts: int  # drawn in total
    num_tokens: int  # prompt and completion tokens


class Collector:
    """Collects batches from the prompts in the sampler's order."""

    def __init__(
        self,
        algorithm: Algorithm,
        *,
        prompts: Sequence[Prompt],
        sampler: PromptSampler,
        rollouter: Rollouter,
        memory: BaselineMemory | None = None,
    ) -> None:
        """`memory`: where `advantage.baseline` is memory; each batch is added to it."""
        self._algorithm = algorithm
        self._prompts = prompts
        self._sampler = sampler
        self._rollouter = rollouter
        self._memory = memory

    def collect(self, step: int) -> Batch:
        """Collect one step's batch; it depends only on weights, seed and sampler position.

        The batch is empty if scoring timed out in every draw: the completions may be the cause.

        Raises:
            RunError: `reward_failed` or `reward_unavailable`, when no group could be scored for
                another reason.
        """
        counts = DrawCounts(step)
        kept, discarded = self._scored(counts), []
        if kept and self._algorithm.ties.policy == "resample":
            kept, discarded = self._resample(kept, counts)
        elif kept and self._algorithm.ties.policy == "grow":
            kept, discarded = self._grow(kept, counts)
        if not kept and not counts.only_timeouts:
            raise _nothing_scored(counts)
        groups = self._compare(kept)
        self._remember(groups)
        return Batch(
            groups=groups,
            discarded=self._compare(discarded),
            failures=tuple(counts.failures),
            num_skipped=counts.num_skipped,
            num_rollouts=counts.num_rollouts,
            num_tokens=counts.num_tokens,
        )

    def _scored(self, counts: DrawCounts) -> list[PartialGroup]:
        """Draw groups; draw again if every group failed, all of them by timeouts."""
        for _ in range(DRAWS_FOR_TIMEOUTS):
            kept = self._fresh(self._algorithm.prompts_per_step, counts)
            if kept or not counts.only_timeouts:
                return kept
        return []

    def _fresh(self, num_prompts: int, counts: DrawCounts) -> list[PartialGroup]:
        """Draw groups for the next prompts; leave out groups that could not be scored."""
        partial: list[PartialGroup] = []
        for index in self._sampler.take(num_prompts):
            # In a small dataset, a prompt can appear twice in one step.
            partial.append(PartialGroup(self._prompts[index], counts.draws[index]))
            counts.draws[index] += 1
        return self._rollouter.complete(partial, self._algorithm.group_size, counts)

    def _resample(
        self, partial: list[PartialGroup], counts: DrawCounts
    ) -> tuple[list[PartialGroup], list[PartialGroup]]:
        """Replace ties with groups of new prompts until the batch holds only contrasts or the
        budget is spent (2-GRPO+RS, arXiv 2510.00977 v3).  Ties fill the rest of the batch, so that
        the loss's denominator stays the same.
        """
        wanted, size = self._algorithm.prompts_per_step, self._algorithm.group_size
        drawn = partial
        contrasts, ties = self._partition(drawn)
        while len(contrasts) < wanted:
            keep_rate = max(len(contrasts) / max(1, len(drawn)), LOWEST_KEEP_RATE)
            num_affordable = (self._algorithm.resample_budget - counts.num_rollouts) // size
            num_fresh = min(ceil((wanted - len(contrasts)) / keep_rate), num_affordable)
            if num_fresh == 0:
                break
            drawn = [*drawn, *self._fresh(num_fresh, counts)]
            contrasts, ties = self._partition(drawn)
        chosen = {group.key for group in [*contrasts, *ties][:wanted]}
        return (
            [group for group in drawn if group.key in chosen],
            [group for group in drawn if group.key not in chosen],
        )

    def _grow(
        self, partial: list[PartialGroup], counts: DrawCounts
    ) -> tuple[list[PartialGroup], list[PartialGroup]]:
        """Add completions to ties, a few at a time, until they become contrasts or reach the limit.

        The second list holds groups whose new completions could not be scored, as they were before.
        """
        size, limit = self._algorithm.group_size, self._algorithm.ties.grow_limit
        grown = {group.key: group for group in partial}
        lost: list[PartialGroup] = []
        while size < limit:
            _, ties = self._partition(list(grown.values()))
            if not ties:
                break
            more = min(GROWTH, limit - size)
            completed = {group.key: group for group in self._rollouter.complete(ties, more, counts)}
            for tie in ties:
                if tie.key in completed:
                    grown[tie.key] = completed[tie.key]
                else:
                    lost.append(grown.pop(tie.key))
            size += more
        return list(grown.values()), lost

    def _partition(
        self, partial: list[PartialGroup]
    ) -> tuple[list[PartialGroup], list[PartialGroup]]:
        """Split groups into contrasts and ties."""
        advantage = self._algorithm.advantage
        ties = find_ties([group.rollouts for group in partial], advantage=advantage)
        return (
            [group for group, tie in zip(partial, ties, strict=True) if not tie],
            [group for group, tie in zip(partial, ties, strict=True) if tie],
        )

    def _compare(self, partial: Sequence[PartialGroup]) -> tuple[Group, ...]:
        siblings = [group.rollouts for group in partial]
        advantage = self._algorithm.advantage
        return tuple(compare(siblings, advantage=advantage, memory=self._memory))

    def _remember(self, groups: Sequence[Group]) -> None:
        if self._memory is not None:
            for group in groups:
                rewards = [rollout.score.total + rollout.penalty for rollout in group.rollouts]
                self._memory.add(group.prompt.index, rewards)


def _nothing_scored(counts: DrawCounts) -> RunError:
    message = f"no group of step {counts.step} could be scored; {counts.failures[0].message}"
    return too_many_failed(
        counts.failures, message, hint="Correct the reward, or the data's answers."
    )
