"""Advantages, by values worked by hand."""

import itertools
import math
from typing import Any

import pytest
import torch

from grpo.advantage import group_advantages, tied

PAPER = {"scale": "group", "std_ddof": 0, "eps": 0.0, "tie_margin": 0.0}


def advantages(*rewards: float, **settings: Any) -> list[float]:
    group = torch.tensor([rewards], dtype=torch.float64)
    return group_advantages(group, **{**PAPER, **settings})[0].tolist()


def test_a_mixed_pair_has_plus_and_minus_one_as_in_the_paper():
    assert advantages(1, 0) == [1, -1]
    assert advantages(0, 1) == [-1, 1]


def test_with_the_sample_std_a_mixed_pair_has_the_values_of_verl_and_trl():
    assert advantages(1, 0, std_ddof=1) == pytest.approx([0.70710678, -0.70710678], abs=1e-8)
    assert advantages(1, 0, std_ddof=1, eps=1e-6) == pytest.approx(
        [0.7071058, -0.7071058], abs=1e-7
    )
    assert advantages(1, 0, std_ddof=1, eps=1e-4) == pytest.approx(
        [0.7070068, -0.7070068], abs=1e-7
    )


def test_trls_eps_bites_where_rewards_are_close():
    assert advantages(0.2, 0, std_ddof=1, eps=1e-4)[0] == pytest.approx(0.70661, abs=1e-5)
    assert advantages(0.001, 0, std_ddof=1, eps=1e-4)[0] == pytest.approx(0.61950, abs=1e-5)


@pytest.mark.parametrize("num_right", range(1, 16))
def test_binary_rewards_have_the_papers_closed_form(num_right: int):
    p = num_right / 16
    group = advantages(*[1] * num_right, *[0] * (16 - num_right))
    assert group[0] == pytest.approx(math.sqrt((1 - p) / p))
    assert group[-1] == pytest.approx(-math.sqrt(p / (1 - p)))


@pytest.mark.parametrize("scale", ["group", "none"])
@pytest.mark.parametrize(
    "group",
    [(0, 0), (1, 1), (0.1, 0.1, 0.1), (0.1 + 0.2, 0.3), (0.7 + 0.1, 0.8), (-1e6, -1e6 - 1e-9)],
)
def test_a_tie_has_exactly_no_advantage_even_where_rounding_tells_its_rewards_apart(
    scale: str, group: tuple[float, ...]
):
    assert advantages(*group, scale=scale) == [0] * len(group)


def test_rewards_within_the_margin_are_a_tie_and_those_beyond_are_not():
    assert advantages(0.4, 0.3, tie_margin=0.1) == [0, 0]
    assert advantages(0.45, 0.3, tie_margin=0.1) == pytest.approx([1, -1])
    assert tied(torch.tensor([[0.4, 0.3], [0.5, 0.3]]).double(), tie_margin=0.1).tolist() == [
        True,
        False,
    ]


def test_without_scale_the_advantage_is_the_distance_from_the_mean():
    assert advantages(1, 0, scale="none") == [0.5, -0.5]
    assert advantages(0.75, 0.25, 0.25, 0.75, scale="none") == [0.25, -0.25, -0.25, 0.25]


def test_each_group_is_compared_within_itself():
    groups = torch.tensor([[1, 0], [5, 9], [3, 3]]).double()
    assert group_advantages(groups, **PAPER).tolist() == [[1, -1], [-1, 1], [0, 0]]


@pytest.mark.parametrize("p", [0.05, 0.25, 0.5, 0.9])
def test_the_expected_advantage_of_an_outcome_in_a_pair_is_x_minus_p(p: float):
    """arXiv 2510.00977, prop. 5.1, by going through all pairs."""
    for outcome in (0, 1):
        expected = sum((p if other else 1 - p) * advantages(outcome, other)[0] for other in (0, 1))
        assert expected == pytest.approx(outcome - p)


@pytest.mark.parametrize(("group_size", "keep"), [(2, 0.375), (4, 0.6797), (8, 0.8998)])
def test_a_group_carries_a_gradient_as_often_as_the_formula_says(group_size: int, keep: float):
    p = 0.25  # 1 - p^G - (1 - p)^G
    kept = 0.0
    for group in itertools.product((0, 1), repeat=group_size):
        if any(advantages(*group)):
            kept += p ** sum(group) * (1 - p) ** (group_size - sum(group))
    assert kept == pytest.approx(keep, abs=1e-4)
