"""Rewards that are normalised each on its own before they are summed (GDPO), by hand."""

import math
import random
from dataclasses import replace

import pytest
import torch

from grpo.algorithm.advantage import normalised_sum
from grpo.data.prompts import Prompt
from grpo.rollout.engines.engine import Completion
from grpo.rollout.groups import Rollout, compare, find_ties
from grpo.rollout.scorer import Score
from grpo.spec.algorithm import Advantage
from grpo.spec.resolve import SpecError, resolve

PROMPT = Prompt(0, 1, "", (1,), "", "", {})
EACH = Advantage(aggregation="normalize_then_sum", scale="none")
WEIGHTS = {"right": 1.0, "short": 0.5}


def pair(*parts: tuple[float, float]) -> list[Rollout]:
    """Return siblings with scores `right` and `short`."""
    return [
        Rollout(
            PROMPT,
            sibling,
            Completion((1,), (0.0,), "stop"),
            "",
            Score(right + 0.5 * short, {"right": right, "short": short, "kl": 9.0}, WEIGHTS),
            None,
        )
        for sibling, (right, short) in enumerate(parts)
    ]


def test_each_part_has_its_weights_say_whatever_its_spread():
    batch = [
        pair((1.0, 0.70), (0.0, 0.71)),
        pair((1.0, 0.9), (1.0, 0.2)),
        pair((0.0, 0.5), (0.0, 0.5)),
    ]
    groups = compare(batch, advantage=EACH)
    assert [group.advantages for group in groups] == [
        pytest.approx((0.5, -0.5)),  # 1 * (+1) + 0.5 * (-1)
        pytest.approx((0.5, -0.5)),  # alike in the first: 0 + 0.5 * (+1)
        (0.0, 0.0),
    ]
    assert [group.tied for group in groups] == [False, False, True]
    assert find_ties(batch, advantage=EACH) == [False, False, True]


def test_a_sum_that_happens_to_be_equal_is_no_tie_where_the_parts_differ():
    batch = [pair((0.0, 1.0), (0.5, 0.0))]  # 0.5 and 0.5 in all
    assert find_ties(batch, advantage=Advantage()) == [True]
    (group,) = compare(batch, advantage=EACH)
    assert group.advantages == pytest.approx((-0.5, 0.5))


def test_a_margin_is_each_rewards_own():
    margin = EACH.model_copy(update={"tie_margin": 0.05})
    (group,) = compare([pair((1.0, 0.70), (0.0, 0.71))], advantage=margin)
    assert group.advantages == pytest.approx((1.0, -1.0))


def test_the_batchs_deviation_scales_the_sums():
    batch = [pair((1.0, 0.0), (0.0, 0.0)), pair((1.0, 1.0), (0.0, 0.0))]
    sums = [1.0, -1.0, 1.5, -1.5]
    std = math.sqrt(sum(each**2 for each in sums) / 4)
    groups = compare(batch, advantage=Advantage(aggregation="normalize_then_sum"))
    found = [each for group in groups for each in group.advantages]
    assert found == pytest.approx([each / std for each in sums])


def test_groups_of_three_by_hand():
    parts = torch.tensor([[0.0, 1.0, 2.0], [5.0, 5.0, 5.0]], dtype=torch.float64)
    found = normalised_sum(
        parts,
        torch.tensor([2.0, 9.0], dtype=torch.float64),
        torch.tensor([3]),
        std_ddof=0,
        eps=0.0,
        tie_margin=0.0,
    )
    unit = 2 / math.sqrt(2 / 3)
    assert found.tolist() == pytest.approx([-unit, 0.0, unit])


def test_a_spec_gets_the_scale_that_fits_and_refuses_another():
    def advantage(**written: object) -> Advantage:
        rewards = [{"type": "number"}, {"type": "length", "target_tokens": 1, "limit_tokens": 9}]
        return resolve(
            {"rewards": rewards, "algorithm": {"advantage": written}}
        ).algorithm.advantage

    assert advantage(aggregation="normalize_then_sum").scale == "batch"
    assert advantage(aggregation="normalize_then_sum", scale="none").scale == "none"
    assert advantage().scale == "group"
    with pytest.raises(SpecError, match="every pair ±1"):
        advantage(aggregation="normalize_then_sum", scale="group")
    with pytest.raises(SpecError, match="set baseline to pair"):
        advantage(aggregation="normalize_then_sum", baseline="shrunk", scale="none")


@pytest.mark.parametrize("weight", [0.1, 1.0, 3.0])
def test_rewards_of_equal_weight_that_disagree_cancel_out_whatever_their_rounding(weight: float):
    weights = {"right": weight, "short": weight}
    for seed in range(200):
        right, short = random.Random(seed).uniform(0.1, 1), random.Random(-seed - 1).uniform(0.1, 1)
        opposed = [
            replace(each, score=replace(each.score, weights=weights))
            for each in pair((right, 0.0), (0.0, short))
        ]
        (group,) = compare([opposed], advantage=EACH)
        assert group.tied, (right, short)
        assert group.advantages == (0.0, 0.0)
