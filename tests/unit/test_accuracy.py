"""pass@k and majority@n, by values worked by hand."""

from fractions import Fraction
from itertools import combinations
from math import comb

import pytest

from grpo.evaluation.pass_at_k import majority_is_right, pass_at_k, pass_sizes


def test_pass_at_k_by_hand():
    assert pass_at_k(num_samples=4, num_right=1, k=2) == 1 / 2  # 1 - C(3,2)/C(4,2) = 1 - 3/6
    assert pass_at_k(num_samples=4, num_right=2, k=2) == 5 / 6  # 1 - 1/6
    assert pass_at_k(num_samples=5, num_right=1, k=3) == 3 / 5  # 1 - C(4,3)/C(5,3) = 1 - 4/10
    assert pass_at_k(num_samples=4, num_right=3, k=2) == 1  # any two hold a right one
    assert pass_at_k(num_samples=4, num_right=0, k=4) == 0
    assert pass_at_k(num_samples=8, num_right=3, k=1) == 3 / 8


@pytest.mark.parametrize("num_right", range(7))
@pytest.mark.parametrize("k", range(1, 7))
def test_pass_at_k_is_the_share_of_draws_of_k_that_hold_a_right_one(num_right: int, k: int):
    completions = [True] * num_right + [False] * (6 - num_right)
    draws = [any(draw) for draw in combinations(completions, k)]
    measured = pass_at_k(num_samples=6, num_right=num_right, k=k)
    assert measured == pytest.approx(sum(draws) / len(draws), abs=1e-15)


def test_pass_at_k_is_unbiased():
    """The estimator's mean over the binomial draws of 6 completions is 1 - (1 - p)^k."""
    p = 0.3
    mean = sum(
        comb(6, right) * p**right * (1 - p) ** (6 - right)
        * pass_at_k(num_samples=6, num_right=right, k=4)
        for right in range(7)
    )  # fmt: skip
    assert mean == pytest.approx(1 - 0.7**4, abs=1e-12)


def test_pass_at_k_keeps_its_digits_where_the_binomials_are_larger_than_floats():
    exact = 1 - Fraction(comb(4095, 2048), comb(4096, 2048))  # = 2048 / 4096
    assert exact == Fraction(1, 2)
    assert pass_at_k(num_samples=4096, num_right=1, k=2048) == 0.5
    assert pass_at_k(num_samples=1024, num_right=1, k=2) == 2 / 1024


@pytest.mark.parametrize(
    ("num_samples", "sizes"),
    [(1, []), (2, [2]), (3, [2, 3]), (4, [2, 4]), (5, [2, 4, 5]), (32, [2, 4, 8, 16, 32])],
)
def test_the_sizes_of_pass_at_k(num_samples: int, sizes: list[int]):
    assert pass_sizes(num_samples) == sizes


@pytest.mark.parametrize(
    ("answers", "right", "verdict"),
    [
        (["3", "4", "4"], [True, False, False], False),
        (["3", "4", "4"], [False, True, True], True),
        (["3", "4", "4", "3"], [True, False, False, True], True),  # equals: 3 was drawn first
        (["4", "3", "3", "4"], [False, True, True, False], False),
        ([None, None, "4"], [False, False, True], True),  # no answer is no vote
        ([None, None], [True, True], False),
        (["4", "4", "4"], [False, True, True], False),  # as right as the first that gives it
    ],
)
def test_the_most_common_answer_decides(
    answers: list[str | None], right: list[bool], verdict: bool
):
    assert majority_is_right(answers, right) is verdict
