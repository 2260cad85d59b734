"""Diagnostics, by values worked by hand and against direct formulas."""

import itertools

import pytest
import torch

from grpo.algorithm.gradient_stats import GradientVariance, cosine, expected_keep_rate


def spread(gradients: torch.Tensor, *, ties: int = 0) -> GradientVariance:
    seen = GradientVariance()
    for gradient in gradients:
        seen.add(gradient)
    seen.add_ties(ties)
    return seen


def test_the_variance_of_three_gradients():
    """Mean (1, 2); squared distances 1 + 4, 0, 1 + 4."""
    seen = spread(torch.tensor([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]]))
    assert seen.mean.tolist() == pytest.approx([1, 2])
    assert seen.of_a_group == pytest.approx(10 / 2)
    assert seen.of_the_batch == pytest.approx(10 / 2 / 3)


def test_the_variance_is_the_trace_of_the_covariance_for_any_mean():
    gradients = 1e4 + torch.randn(50, 7, generator=torch.Generator().manual_seed(0)).double()
    assert spread(gradients).of_a_group == pytest.approx(gradients.var(dim=0).sum().item())


@pytest.mark.parametrize("order", list(itertools.permutations(["tie", "tie", "a", "b"])))
def test_a_tie_is_a_gradient_of_0_whenever_it_comes(order: tuple[str, ...]):
    gradients = {"a": torch.tensor([3.0, 0.0]), "b": torch.tensor([1.0, 4.0])}
    seen = GradientVariance()
    for name in order:
        if name == "tie":
            seen.add_ties(1)
        else:
            seen.add(gradients[name])
    everything = torch.stack([*gradients.values(), torch.zeros(2), torch.zeros(2)])
    assert seen.mean.tolist() == pytest.approx([1, 1])
    assert seen.of_a_group == pytest.approx(everything.var(dim=0).sum().item())


def test_gradients_given_to_it_are_left_as_they_are():
    gradients = torch.tensor([[1.0], [5.0]])
    spread(gradients, ties=2)
    assert gradients.tolist() == [[1.0], [5.0]]


def test_one_gradient_has_no_variance():
    with pytest.raises(ValueError, match="variance of 1 gradients"):
        _ = spread(torch.ones(1, 3)).of_a_group


def test_the_cosine_is_of_the_angle_and_not_of_the_lengths():
    assert cosine(torch.tensor([2.0, 0.0]), torch.tensor([7.0, 0.0])) == pytest.approx(1)
    assert cosine(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0])) == pytest.approx(0.5**0.5)
    assert cosine(torch.tensor([1.0, 2.0]), torch.tensor([-2.0, -4.0])) == pytest.approx(-1)
    with pytest.raises(ValueError, match="no direction"):
        cosine(torch.zeros(2), torch.ones(2))


@pytest.mark.parametrize("group_size", [2, 3, 5])
@pytest.mark.parametrize("pass_rate", [0.0, 0.25, 0.5, 1.0])
def test_the_expected_keep_rate_counts_the_groups_with_a_contrast(
    group_size: int, pass_rate: float
):
    kept = sum(
        pass_rate ** sum(group) * (1 - pass_rate) ** (group_size - sum(group))
        for group in itertools.product((0, 1), repeat=group_size)
        if len(set(group)) > 1
    )
    assert expected_keep_rate(pass_rate, group_size=group_size) == pytest.approx(kept)


def test_prompts_of_unequal_difficulty_keep_less_than_expected_from_their_mean_pass_rate():
    easy_and_hard = [expected_keep_rate(p, group_size=2) for p in (0.9, 0.1)]
    assert sum(easy_and_hard) / 2 == pytest.approx(0.18)
    assert expected_keep_rate(0.5, group_size=2) == pytest.approx(0.5)
