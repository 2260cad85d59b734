"""A step's batch under each handling of ties, with a scripted engine."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from transformers import AutoTokenizer

from grpo.builtin.catalogue import MODELS
from grpo.data.prompt_sampler import PromptSampler
from grpo.data.prompts import Prompt
from grpo.errors import RunError
from grpo.rollout.collector import Batch, Collector
from grpo.rollout.engines.engine import Completion, Request, Sampling, Stream
from grpo.rollout.groups import Group
from grpo.rollout.rollouter import Rollouter
from grpo.rollout.scorer import Scorer
from grpo.runtime.stopwatch import Stopwatch
from grpo.spec.job import JobSpec
from grpo.spec.resolve import resolve
from tests.unit.weightless_engine import WeightlessEngine

RIGHT, WRONG = "1", "0"
Script = Callable[[int, int], str]
"""Return the text of a prompt's n-th completion in a step."""


class ScriptedEngine(WeightlessEngine):
    """Engine that generates by a script; a prompt's only token is its index."""

    name = "scripted"

    def __init__(self, script: Script) -> None:
        self._script = script
        self._num_drawn: dict[int, int] = {}
        self.batches: list[list[Request]] = []

    def stream(self, requests: Sequence[Request], sampling: Sampling) -> Stream:
        assert sampling.top_p == 1
        self.batches.append(list(requests))
        for place, request in enumerate(requests):
            yield place, self._complete(*request.prompt_ids)

    def _complete(self, prompt: int) -> Completion:
        nth = self._num_drawn[prompt] = self._num_drawn.get(prompt, -1) + 1
        ids = tuple(self._script(prompt, nth).encode())
        return Completion(ids, (-0.5,) * len(ids), "stop")


@pytest.fixture
def collect() -> Iterator[Callable[..., tuple[Batch, ScriptedEngine]]]:
    """One step's batch of a spec, from 100 prompts."""
    tokenizer = AutoTokenizer.from_pretrained(MODELS["tiny-arithmetic"].folder)
    scorers: list[Scorer] = []

    def collect(script: Script, **algorithm: Any) -> tuple[Batch, ScriptedEngine]:
        spec = spec_of(**algorithm)
        engine, scorer = ScriptedEngine(script), Scorer(spec.rewards, spec.scoring)
        scorers.append(scorer)
        rollouter = Rollouter(
            spec,
            engine=engine,
            tokenizer=tokenizer,
            scorer=scorer,
            stopwatch=Stopwatch(lambda: 0.0),
            penalise=None,
        )
        collector = Collector(
            spec.algorithm,
            prompts=[prompt(index) for index in range(100)],
            sampler=PromptSampler(100, seed=1),
            rollouter=rollouter,
        )
        return collector.collect(1), engine

    yield collect
    for scorer in scorers:
        scorer.close()


def spec_of(**algorithm: Any) -> JobSpec:
    return resolve({"rewards": [{"type": "number"}], "algorithm": algorithm})


def prompt(index: int) -> Prompt:
    answer = "none" if index == UNSCORABLE else RIGHT
    return Prompt(
        index, row=index + 1, text="", token_ids=(index,), answer=answer, source="a", fields={}
    )


DRAWN_FIRST = PromptSampler(100, seed=1).take(100)
"""Return the prompts in the order in which they are drawn."""
UNSCORABLE = next(prompt for prompt in reversed(DRAWN_FIRST) if prompt % 2 == 1)


def mixed(prompt: int, nth: int) -> str:
    return RIGHT if nth % 2 == 0 else WRONG


def mixed_if_even(prompt: int, nth: int) -> str:
    return mixed(prompt, nth) if prompt % 2 == 0 else WRONG


def prompts_of(groups: Sequence[Group]) -> list[int]:
    return [group.prompt.index for group in groups]


def test_drop_and_keep_take_the_groups_as_they_come(collect: Callable[..., Any]):
    for policy in ("drop", "keep"):
        batch, engine = collect(mixed_if_even, prompts_per_step=10, ties={"policy": policy})
        assert prompts_of(batch.groups) == DRAWN_FIRST[:10]
        assert [group.tied for group in batch.groups] == [p % 2 == 1 for p in DRAWN_FIRST[:10]]
        assert (batch.discarded, batch.num_rollouts, len(engine.batches)) == ((), 20, 1)


def test_resample_fills_the_batch_with_contrasts_of_new_prompts(collect: Callable[..., Any]):
    batch, _ = collect(mixed_if_even, prompts_per_step=10, ties={"policy": "resample"})
    even = [p for p in DRAWN_FIRST if p % 2 == 0]
    assert prompts_of(batch.groups) == even[:10]
    assert not any(group.tied for group in batch.groups)
    # Whatever else was drawn is discarded, and counted.
    drawn = [*prompts_of(batch.groups), *prompts_of(batch.discarded)]
    assert sorted(drawn) == sorted(DRAWN_FIRST[: len(drawn)])
    assert batch.num_rollouts == 2 * len(drawn)


def test_resample_ends_with_its_budget_and_ties_fill_the_rest(collect: Callable[..., Any]):
    batch, _ = collect(
        mixed_if_even, prompts_per_step=10, ties={"policy": "resample", "resample_budget": 26}
    )
    first = DRAWN_FIRST[:13]  # 26 completions are 13 pairs
    even, odd = [p for p in first if p % 2 == 0], [p for p in first if p % 2 == 1]
    assert len(even) < 10
    kept = {*even, *odd[: 10 - len(even)]}
    assert prompts_of(batch.groups) == [p for p in first if p in kept]
    assert prompts_of(batch.discarded) == [p for p in first if p not in kept]
    assert batch.num_rollouts == 26


def test_without_a_budget_of_its_own_resampling_draws_no_more_than_sixteen_a_prompt(
    collect: Callable[..., Any],
):
    batch, _ = collect(lambda *_: WRONG, prompts_per_step=2, ties={"policy": "resample"})
    assert batch.num_rollouts == 2 * 16
    assert (len(batch.groups), len(batch.discarded)) == (2, 14)
    assert all(group.tied for group in batch.groups)


def test_resample_of_pairs_that_all_contrast_draws_no_more(collect: Callable[..., Any]):
    batch, engine = collect(mixed, prompts_per_step=10, ties={"policy": "resample"})
    assert (batch.num_rollouts, len(engine.batches), batch.discarded) == (20, 1, ())


def test_grow_adds_two_completions_at_a_time_until_a_group_contrasts(collect: Callable[..., Any]):
    def right_at_last(prompt: int, nth: int) -> str:
        """Script in which even prompts contrast at once, odd ones with the fifth completion."""
        return mixed(prompt, nth) if prompt % 2 == 0 else (RIGHT if nth == 4 else WRONG)

    batch, engine = collect(
        right_at_last, prompts_per_step=10, ties={"policy": "grow", "grow_limit": 8}
    )
    assert prompts_of(batch.groups) == DRAWN_FIRST[:10]  # in their old places
    sizes = [len(group.rollouts) for group in batch.groups]
    assert sizes == [2 if p % 2 == 0 else 6 for p in DRAWN_FIRST[:10]]
    odd = next(group for group in batch.groups if group.prompt.index % 2 == 1)
    assert [rollout.sibling for rollout in odd.rollouts] == [0, 1, 2, 3, 4, 5]
    # One right of six: A+ = sqrt(5), A- = -1/sqrt(5).
    assert odd.advantages == pytest.approx([-(5**-0.5)] * 4 + [5**0.5] + [-(5**-0.5)])
    seeds = [request.seed for drawn in engine.batches for request in drawn]
    assert len(set(seeds)) == len(seeds) == batch.num_rollouts


def test_grow_leaves_what_is_tied_at_the_limit(collect: Callable[..., Any]):
    batch, _ = collect(
        lambda *_: WRONG, prompts_per_step=3, ties={"policy": "grow", "grow_limit": 5}
    )
    assert [len(group.rollouts) for group in batch.groups] == [5, 5, 5]
    assert all(group.tied for group in batch.groups)
    assert all(advantage == 0 for group in batch.groups for advantage in group.advantages)


def test_a_group_whose_reward_failed_is_left_out_and_counted(collect: Callable[..., Any]):
    batch, _ = collect(mixed, prompts_per_step=100)
    assert prompts_of(batch.groups) == [p for p in DRAWN_FIRST if p != UNSCORABLE]
    assert batch.num_skipped == 1
    assert [failure.row for failure in batch.failures] == [UNSCORABLE + 1] * 2
    assert batch.num_rollouts == 200


def test_a_step_in_which_nothing_can_be_scored_is_an_error():
    sampler = PromptSampler(1, seed=0)
    tokenizer = AutoTokenizer.from_pretrained(MODELS["tiny-arithmetic"].folder)
    spec = spec_of(prompts_per_step=2)
    scorer = Scorer(spec.rewards, spec.scoring)
    rollouter = Rollouter(
        spec,
        engine=ScriptedEngine(mixed),
        tokenizer=tokenizer,
        scorer=scorer,
        stopwatch=Stopwatch(lambda: 0.0),
        penalise=None,
    )
    collector = Collector(
        spec.algorithm, prompts=[prompt(UNSCORABLE)], sampler=sampler, rollouter=rollouter
    )
    with pytest.raises(RunError, match="no group of step 1 could be scored") as caught:
        collector.collect(1)
    assert caught.value.code == "reward_failed"


@pytest.mark.parametrize("policy", ["drop", "resample", "grow"])
def test_a_step_whose_every_score_timed_out_is_empty_and_counted(policy: str):
    tokenizer = AutoTokenizer.from_pretrained(MODELS["tiny-arithmetic"].folder)
    hanging = {"type": "regex", "pattern": "(a|a)*b"}
    ties = {"policy": policy, **({"grow_limit": 4} if policy == "grow" else {})}
    spec = resolve(
        {
            "rewards": [hanging],
            "algorithm": {"prompts_per_step": 1, "group_size": 2, "ties": ties},
            "scoring": {"seconds": 0.05},
        }
    )
    scorer = Scorer(spec.rewards, spec.scoring)
    rollouter = Rollouter(
        spec,
        engine=ScriptedEngine(lambda _prompt, _nth: "a" * 40),
        tokenizer=tokenizer,
        scorer=scorer,
        stopwatch=Stopwatch(lambda: 0.0),
        penalise=None,
    )
    collector = Collector(
        spec.algorithm,
        prompts=[prompt(0)],
        sampler=PromptSampler(1, seed=0),
        rollouter=rollouter,
    )
    batch = collector.collect(1)
    scorer.close()
    assert batch.groups == batch.discarded == ()
    # Three draws of one group of two.
    assert (batch.num_skipped, batch.num_rollouts, len(batch.failures)) == (3, 6, 6)
    assert all(failure.timed_out for failure in batch.failures)


def test_batch_scale_divides_by_the_deviation_of_all_the_steps_rewards(collect: Callable[..., Any]):
    batch, _ = collect(mixed_if_even, prompts_per_step=100, advantage={"scale": "batch"})
    # 99 pairs can be scored: 50 mixed, 49 all wrong; so 50 of 198 rewards are 1.
    share = 50 / 198
    deviation = (share * (1 - share)) ** 0.5
    (group, *_) = [group for group in batch.groups if not group.tied]
    assert group.advantages == pytest.approx([0.5 / deviation, -0.5 / deviation])
