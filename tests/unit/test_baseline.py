"""Baselines from more than the group, against plain loops over completions."""

from collections.abc import Sequence
from statistics import fmean, variance
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from grpo.algorithm.baseline import (
    DECAY,
    PRIOR_WEIGHT,
    against,
    memory_baselines,
    remembered,
    shrunk_baselines,
)
from grpo.rollout.baseline_memory import BaselineMemory
from grpo.spec.resolve import SpecError, resolve

Groups = Sequence[Sequence[float]]

REWARDS = st.sampled_from([0.0, 0.1, 0.5, 1.0, -2.0])
GROUPS = st.integers(2, 4).flatmap(
    lambda size: st.lists(st.lists(REWARDS, min_size=size, max_size=size), min_size=1, max_size=9)
)


def flat(groups: Groups) -> tuple[torch.Tensor, torch.Tensor]:
    rewards = torch.tensor([reward for group in groups for reward in group], dtype=torch.float64)
    return rewards, torch.tensor([len(group) for group in groups])


def siblings_of(group: Sequence[float], place: int) -> list[float]:
    return [reward for other, reward in enumerate(group) if other != place]


def plain_shrunk(groups: Groups) -> list[float]:
    """Each completion's baseline by the formulas, one after another."""
    found = []
    for number, group in enumerate(groups):
        others = [other for n, other in enumerate(groups) if n != number]
        for place in range(len(group)):
            own = fmean(siblings_of(group, place))
            if len(others) < 2:
                found.append(own)
                continue
            within = fmean(variance(other) for other in others)
            between = variance([fmean(other) for other in others])
            tau_squared = max(0.0, between - within / len(group))
            v = within / (len(group) - 1)
            shrinkage = v / (v + tau_squared) if v + tau_squared > 1e-9 else 0.0
            mean = fmean(fmean(other) for other in others)
            found.append((1 - shrinkage) * own + shrinkage * mean)
    return found


def plain_memory(groups: Groups, totals: Sequence[float], counts: Sequence[float]) -> list[float]:
    found = []
    for number, group in enumerate(groups):
        others = [fmean(other) for n, other in enumerate(groups) if n != number]
        weight = PRIOR_WEIGHT if others else 0.0
        prior = weight * fmean(others) if others else 0.0
        for place in range(len(group)):
            own = siblings_of(group, place)
            rewards = prior + totals[number] + sum(own)
            found.append(rewards / (weight + counts[number] + len(own)))
    return found


@given(GROUPS)
def test_shrunk_baselines_are_those_of_the_formula(groups: Groups):
    assert shrunk_baselines(*flat(groups)).tolist() == pytest.approx(plain_shrunk(groups))


@given(GROUPS, st.data())
def test_memory_baselines_are_those_of_the_formula(groups: Groups, data: Any):
    numbers = st.lists(st.floats(0, 20), min_size=len(groups), max_size=len(groups))
    totals, counts = data.draw(numbers), data.draw(numbers)
    given_state = {
        "totals": torch.tensor(totals, dtype=torch.float64),
        "counts": torch.tensor(counts, dtype=torch.float64),
    }
    found = memory_baselines(*flat(groups), **given_state).tolist()
    assert found == pytest.approx(plain_memory(groups, totals, counts))


@given(GROUPS, st.data())
def test_a_completions_reward_is_not_in_its_own_baseline(groups: Groups, data: Any):
    """Else the gradient would have a bias."""
    number = data.draw(st.integers(0, len(groups) - 1))
    changed = [list(group) for group in groups]
    changed[number][0] += 1.0
    place = sum(len(group) for group in groups[:number])
    state = torch.ones(len(groups), dtype=torch.float64)
    for baselines in (
        shrunk_baselines,
        lambda *rewards: memory_baselines(*rewards, totals=state, counts=2 * state),
    ):
        before, after = (baselines(*flat(these))[place].item() for these in (groups, changed))
        assert after == pytest.approx(before)


def test_baselines_by_hand():
    """Beside (1, 0): w = 0.25, V = 1/6, tau² = 1/24, lambda = 6/7.  Beside (1, 1) and (0, 0) the
    others' means differ only by chance: V = 1/16 is below w / k = 3/16, lambda = 1."""
    groups = [(1, 0), (0, 1), (1, 0), (1, 1), (0, 0)]
    assert shrunk_baselines(*flat(groups)).tolist() == pytest.approx(
        [3 / 7, 4 / 7, 4 / 7, 3 / 7, 3 / 7, 4 / 7, 0.375, 0.375, 0.625, 0.625]
    )


def test_prompts_that_are_always_right_or_always_wrong_keep_their_partners():
    """w is 0: lambda is 0, and no pair has an advantage."""
    rewards, sizes = flat([(1, 1), (0, 0), (1, 1), (0, 0)])
    assert against(rewards, shrunk_baselines(rewards, sizes)).tolist() == [0] * 8


def test_a_memory_begins_with_the_partner_and_the_batch():
    """(1 m + 0 + partner) / (1 + 0 + 1), m = 0.25 and 0.5."""
    rewards, sizes = flat([(1, 0), (0, 0.5)])
    nothing = torch.zeros(2, dtype=torch.float64)
    found = memory_baselines(rewards, sizes, totals=nothing, counts=nothing)
    assert found.tolist() == pytest.approx([0.125, 0.625, 0.5, 0.25])


def test_a_memory_forgets():
    memory = BaselineMemory(3)
    for _ in range(200):
        memory.add(1, [1.0, 0.0])
    totals, counts = memory.of([0, 1])
    assert totals.tolist() == pytest.approx([0, 1 / (1 - DECAY)])
    assert counts.tolist() == pytest.approx([0, 2 / (1 - DECAY)])
    assert remembered(4.0, 8.0, [1.0, 1.0, 0.0]) == pytest.approx((4 * DECAY + 2, 8 * DECAY + 3))


def test_a_memorys_tensors_do_not_change_with_it():
    """A checkpoint is written while the next step's rewards are added."""
    memory = BaselineMemory(2)
    memory.add(0, [1.0, 0.0])
    tensors = memory.tensors()
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    memory.add(0, [1.0, 1.0])
    assert all(torch.equal(tensors[name], before[name]) for name in before)


def test_a_memory_continues_from_its_tensors():
    first, second = BaselineMemory(2), BaselineMemory(2)
    first.add(1, [0.1, 0.7])
    second.restore(first.tensors())
    for memory in (first, second):
        memory.add(1, [0.3, 0.0])
    assert [t.tolist() for t in first.of([0, 1])] == [t.tolist() for t in second.of([0, 1])]


@pytest.mark.parametrize("baseline", ["shrunk", "memory"])
def test_the_scale_of_a_baseline_is_none(baseline: str):
    advantage = resolve({"algorithm": {"advantage": {"baseline": baseline}}}).algorithm.advantage
    assert advantage.scale == "none"


@pytest.mark.parametrize(
    ("algorithm", "said"),
    [
        ({"advantage": {"baseline": "shrunk", "scale": "group"}}, "scale group is not defined"),
        ({"advantage": {"baseline": "memory", "scale": "batch"}}, "scale batch is not defined"),
        ({"advantage": {"baseline": "memory", "tie_margin": 0.1}}, "tie_margin has no effect"),
        ({"advantage": {"baseline": "shrunk"}, "ties": {"policy": "resample"}}, "carries a"),
        ({"advantage": {"baseline": "memory"}, "ties": {"policy": "grow"}}, "carries a gradient"),
    ],
)
def test_settings_that_a_baseline_does_not_have_are_refused(algorithm: Any, said: str):
    with pytest.raises(SpecError, match=said):
        resolve({"algorithm": algorithm})
