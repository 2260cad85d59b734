"""A step's batch: which groups it is made of, and what is done about ties."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from grpo.data.prompt_sampler import PromptSampler
from grpo.data.prompts import Prompt
from grpo.errors import RunError
from grpo.rewards.scorer import ScoreFailure
from grpo.rollout.groups import Group, compare, find_ties
from grpo.rollout.rollouter import Completer, OpenGroup, Tally
from grpo.spec.algorithm import Algorithm

DRAWS_FOR_TIMEOUTS = 3
GROWTH = 2  # completions that a tied group gets at a time
# Fewest contrasts a drawn group that are reckoned with: bounds how many are drawn at a time.
LOWEST_KEEP_RATE = 0.05


@dataclass(frozen=True)
class Batch:
    """What a step learns from, and what it drew besides."""

    groups: tuple[Group, ...]
    discarded: tuple[Group, ...]  # drawn and not kept: replaced, or lost while they grew
    failures: tuple[ScoreFailure, ...]
    num_skipped: int  # groups left out because a reward failed
    num_rollouts: int  # all that were drawn
    num_tokens: int  # of their prompts and completions


class Collector:
    """Collects batches from the prompts in the sampler's order."""

    def __init__(
        self,
        algorithm: Algorithm,
        *,
        prompts: Sequence[Prompt],
        sampler: PromptSampler,
        completer: Completer,
    ) -> None:
        self._algorithm = algorithm
        self._prompts = prompts
        self._sampler = sampler
        self._completer = completer

    def collect(self, step: int) -> Batch:
        """The batch of one step; the same weights, seed and sampler position give the same batch.

        Raises:
            RunError: `reward_failed`, when not one group could be scored.
        """
        tally = Tally(step)
        kept, discarded = self._scored(tally), []
        if self._algorithm.ties.policy == "resample":
            kept, discarded = self._resample(kept, tally)
        elif self._algorithm.ties.policy == "grow":
            kept, discarded = self._grow(kept, tally)
        if not kept:
            raise _nothing_scored(tally)
        return Batch(
            groups=self._compare(kept),
            discarded=self._compare(discarded),
            failures=tuple(tally.failures),
            num_skipped=tally.num_skipped,
            num_rollouts=tally.num_rollouts,
            num_tokens=tally.num_tokens,
        )

    def _scored(self, tally: Tally) -> list[OpenGroup]:
        """Fresh groups; drawn again where all that kept every one from its scores was the time."""
        for _ in range(DRAWS_FOR_TIMEOUTS):
            kept = self._fresh(self._algorithm.prompts_per_step, tally)
            if kept or not all(failure.timed_out for failure in tally.failures):
                return kept
        return []

    def _fresh(self, num_prompts: int, tally: Tally) -> list[OpenGroup]:
        """Groups of the next prompts, without those that could not be scored."""
        opened: list[OpenGroup] = []
        for index in self._sampler.take(num_prompts):
            # A small data set can give one prompt twice in a step.
            opened.append(OpenGroup(self._prompts[index], tally.draws[index]))
            tally.draws[index] += 1
        return self._completer.complete(opened, self._algorithm.group_size, tally)

    def _resample(
        self, opened: list[OpenGroup], tally: Tally
    ) -> tuple[list[OpenGroup], list[OpenGroup]]:
        """Groups of new prompts in the place of ties, until the batch is full of contrasts or the
        budget is spent (2-GRPO+RS, arXiv 2510.00977 v3).  Ties fill what is left of the batch, so
        that the loss's denominator stays.
        """
        wanted, size = self._algorithm.prompts_per_step, self._algorithm.group_size
        drawn = opened
        contrasts, ties = self._partition(drawn)
        while len(contrasts) < wanted:
            keep_rate = max(len(contrasts) / max(1, len(drawn)), LOWEST_KEEP_RATE)
            num_affordable = (self._algorithm.resample_budget - tally.num_rollouts) // size
            num_fresh = min(ceil((wanted - len(contrasts)) / keep_rate), num_affordable)
            if num_fresh == 0:
                break
            drawn = [*drawn, *self._fresh(num_fresh, tally)]
            contrasts, ties = self._partition(drawn)
        chosen = {group.key for group in [*contrasts, *ties][:wanted]}
        return (
            [group for group in drawn if group.key in chosen],
            [group for group in drawn if group.key not in chosen],
        )

    def _grow(
        self, opened: list[OpenGroup], tally: Tally
    ) -> tuple[list[OpenGroup], list[OpenGroup]]:
        """More completions for ties, a few at a time, until they contrast or reach the limit.

        The second list holds, as they were before, those of which a new completion could not be
        scored.
        """
        size, limit = self._algorithm.group_size, self._algorithm.ties.grow_limit
        grown = {group.key: group for group in opened}
        lost: list[OpenGroup] = []
        while size < limit:
            _, ties = self._partition(list(grown.values()))
            if not ties:
                break
            more = min(GROWTH, limit - size)
            completed = {group.key: group for group in self._completer.complete(ties, more, tally)}
            for tie in ties:
                if tie.key in completed:
                    grown[tie.key] = completed[tie.key]
                else:
                    lost.append(grown.pop(tie.key))
            size += more
        return list(grown.values()), lost

    def _partition(self, opened: list[OpenGroup]) -> tuple[list[OpenGroup], list[OpenGroup]]:
        """Contrasts and ties."""
        margin = self._algorithm.advantage.tie_margin
        ties = find_ties([group.rollouts for group in opened], tie_margin=margin)
        return (
            [group for group, tie in zip(opened, ties, strict=True) if not tie],
            [group for group, tie in zip(opened, ties, strict=True) if tie],
        )

    def _compare(self, opened: Sequence[OpenGroup]) -> tuple[Group, ...]:
        siblings = [group.rollouts for group in opened]
        return tuple(compare(siblings, advantage=self._algorithm.advantage))


def _nothing_scored(tally: Tally) -> RunError:
    return RunError(
        "reward_failed",
        f"no group of step {tally.step} could be scored; {tally.failures[0].message}",
        hint="Correct the reward, or the data's answers.",
    )
