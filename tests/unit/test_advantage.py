"""Advantages, by values worked by hand."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from grpo.algorithm.advantage import advantages, tied

PAPER: dict[str, Any] = {"scale": "group", "std_ddof": 0, "eps": 0.0, "tie_margin": 0.0}


def of_groups(*groups: Sequence[float], **settings: Any) -> list[float]:
    rewards = torch.tensor([reward for group in groups for reward in group], dtype=torch.float64)
    sizes = torch.tensor([len(group) for group in groups])
    return advantages(rewards, sizes, **{**PAPER, **settings}).tolist()


def of_group(*rewards: float, **settings: Any) -> list[float]:
    return of_groups(rewards, **settings)


def test_a_mixed_pair_has_plus_and_minus_one_as_in_the_paper():
    assert of_group(1, 0) == [1, -1]
    assert of_group(0, 1) == [-1, 1]


def test_with_the_sample_std_a_mixed_pair_has_the_values_of_verl_and_trl():
    assert of_group(1, 0, std_ddof=1) == pytest.approx([0.70710678, -0.70710678], abs=1e-8)
    assert of_group(1, 0, std_ddof=1, eps=1e-6) == pytest.approx([0.7071058, -0.7071058], abs=1e-7)
    assert of_group(1, 0, std_ddof=1, eps=1e-4) == pytest.approx([0.7070068, -0.7070068], abs=1e-7)


def test_trls_eps_bites_where_rewards_are_close():
    assert of_group(0.2, 0, std_ddof=1, eps=1e-4)[0] == pytest.approx(0.70661, abs=1e-5)
    assert of_group(0.001, 0, std_ddof=1, eps=1e-4)[0] == pytest.approx(0.61950, abs=1e-5)


@pytest.mark.parametrize("num_right", range(1, 16))
def test_binary_rewards_have_the_papers_closed_form(num_right: int):
    p = num_right / 16
    group = of_group(*[1] * num_right, *[0] * (16 - num_right))
    assert group[0] == pytest.approx(math.sqrt((1 - p) / p))
    assert group[-1] == pytest.approx(-math.sqrt(p / (1 - p)))


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
@pytest.mark.parametrize(
    "group",
    [(0, 0), (1, 1), (0.1, 0.1, 0.1), (0.1 + 0.2, 0.3), (0.7 + 0.1, 0.8), (-1e6, -1e6 - 1e-9)],
)
def test_a_tie_has_exactly_zero_advantage_even_if_rounding_makes_its_rewards_differ(
    scale: str, group: tuple[float, ...]
):
    assert of_group(*group, scale=scale) == [0] * len(group)


def test_rewards_within_the_margin_are_a_tie_and_those_beyond_are_not():
    assert of_group(0.4, 0.3, tie_margin=0.1) == [0, 0]
    assert of_group(0.45, 0.3, tie_margin=0.1) == pytest.approx([1, -1])
    rewards = torch.tensor([0.4, 0.3, 0.5, 0.3, 0.4], dtype=torch.float64)
    assert tied(rewards, torch.tensor([2, 3]), tie_margin=0.1).tolist() == [True, False]


def test_without_scale_the_advantage_is_the_distance_from_the_mean():
    assert of_group(1, 0, scale="none") == [0.5, -0.5]
    assert of_group(0.75, 0.25, 0.25, 0.75, scale="none") == [0.25, -0.25, -0.25, 0.25]


def test_each_group_is_compared_within_itself():
    assert of_groups((1, 0), (5, 9), (3, 3)) == [1, -1, -1, 1, 0, 0]


def test_groups_may_differ_in_size():
    grown = of_groups((1, 0), (1, 0, 0, 0), (7,), (2, 2, 2))
    # The second: mean 1/4, variance 3/16.
    high, low = math.sqrt(3), -1 / math.sqrt(3)
    assert grown == pytest.approx([1, -1, high, low, low, low, 0, 0, 0, 0])


def test_each_size_has_its_own_sample_std():
    with_ddof = of_groups((1, 0), (1, 0, 0, 0), (7,), std_ddof=1)
    assert with_ddof == pytest.approx([0.5**0.5, -(0.5**0.5), 1.5, -0.5, -0.5, -0.5, 0])


def test_over_the_batch_the_std_is_of_all_rewards_and_the_mean_still_of_the_group():
    """Rewards 1 0 4 2 3 3: mean 13/6, squares 39, variance 39/6 - (13/6)² = 65/36."""
    groups = ((1, 0), (4, 2), (3, 3))
    std = math.sqrt(65) / 6
    assert of_groups(*groups, scale="batch") == pytest.approx(
        [0.5 / std, -0.5 / std, 1 / std, -1 / std, 0, 0]
    )
    sample_std = math.sqrt(65 / 36 * 6 / 5)
    assert of_groups(*groups, scale="batch", std_ddof=1, eps=0.1)[2] == pytest.approx(
        1 / (sample_std + 0.1)
    )


def test_a_batch_of_nothing_but_ties_has_no_advantage_whatever_it_is_divided_by():
    assert of_groups((3, 3), (3, 3), scale="batch") == [0] * 4


@pytest.mark.parametrize(("group_size", "keep"), [(2, 0.375), (4, 0.6797), (8, 0.8998)])
def test_the_fraction_of_groups_with_a_gradient_matches_the_formula(group_size: int, keep: float):
    p = 0.25  # 1 - p^G - (1 - p)^G
    kept = 0.0
    for group in itertools.product((0, 1), repeat=group_size):
        if any(of_group(*group)):
            kept += p ** sum(group) * (1 - p) ** (group_size - sum(group))
    assert kept == pytest.approx(keep, abs=1e-4)


def penalised(rewards: Sequence[float], penalties: Sequence[float], **settings: Any) -> list[float]:
    return advantages(
        torch.tensor(rewards, dtype=torch.float64),
        torch.tensor([len(rewards)]),
        penalties=torch.tensor(penalties, dtype=torch.float64),
        **{**PAPER, **settings},
    ).tolist()


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
@pytest.mark.parametrize("size", [1e-14, 1e-3, 1.0, 50.0])
def test_a_penalty_never_makes_a_contrast_of_a_tie(scale: str, size: float):
    assert penalised([1, 1], [0, -size], scale=scale) == [0, 0]
    assert penalised([0, 0, 0], [size, -size, 0], scale=scale) == [0, 0, 0]
    assert penalised([1, 0.95], [0, -size], scale=scale, tie_margin=0.1) == [0, 0]


@given(
    rewards=st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=2, max_size=6),
    kl=st.lists(st.floats(-20, 20), min_size=6, max_size=6),
    scale=st.sampled_from(["group", "batch", "none"]),
)
def test_as_a_penalty_vanishes_so_does_its_effect(
    rewards: list[float], kl: list[float], scale: str
):
    plain = of_group(*rewards, scale=scale)
    for beta, error in ((1e-9, 1e-6), (1e-300, 0.0)):
        penalties = [-beta * of_one for of_one in kl[: len(rewards)]]
        assert penalised(rewards, penalties, scale=scale) == pytest.approx(plain, abs=error)


def test_a_penalty_that_undoes_a_contrast_leaves_no_advantage_and_no_nan():
    assert penalised([1, 0], [-1, 0]) == [0, 0]
    assert penalised([1, 0], [-2, 0]) == [-1, 1]
