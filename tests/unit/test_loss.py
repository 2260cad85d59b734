"""The clipped loss, by values worked by hand."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from grpo.loss import ClipCounts, count_clipped, grpo_loss

CLIP = {"clip_low": 0.2, "clip_high": 0.28}


def batch(ratios: list[list[float]], advantages: list[float]) -> dict[str, Any]:
    """Completions whose policy/old ratios are given token by token; every old logprob is -1."""
    logprobs = torch.tensor([math.log(ratio) - 1 for of_row in ratios for ratio in of_row]).double()
    return {
        "policy_logprobs": logprobs.requires_grad_(),
        "old_logprobs": torch.full_like(logprobs, -1).detach(),
        "advantages": torch.tensor(advantages).double(),
        "lengths": torch.tensor([len(of_row) for of_row in ratios]),
        **CLIP,
    }


def loss_and_gradient(arguments: dict[str, Any], denominator: int) -> tuple[float, list[float]]:
    loss: Tensor = grpo_loss(**arguments, denominator=denominator)
    loss.backward()
    return loss.item(), arguments["policy_logprobs"].grad.tolist()


def test_on_policy_a_mixed_pair_has_loss_zero_and_a_gradient_all_the_same():
    """Eq. 14: -1/2 (1/|o+| sum rho - 1/|o-| sum rho), at rho = 1."""
    loss, gradient = loss_and_gradient(batch([[1, 1], [1, 1, 1, 1]], [1, -1]), denominator=2)
    assert loss == pytest.approx(0)
    # d rho / d logprob = rho = 1, so each token of o+ gets -1/2 * 1/2 and each of o- 1/2 * 1/4.
    assert gradient == pytest.approx([-1 / 4] * 2 + [1 / 8] * 4)


def test_a_pair_off_policy_is_equation_14_of_the_paper():
    right, wrong = [1.1, 0.9], [1.2, 0.85, 1.0]
    loss, gradient = loss_and_gradient(batch([right, wrong], [1, -1]), denominator=2)
    assert loss == pytest.approx(-((1.1 + 0.9) / 2 - (1.2 + 0.85 + 1.0) / 3) / 2)
    assert gradient == pytest.approx([-1.1 / 4, -0.9 / 4, 1.2 / 6, 0.85 / 6, 1.0 / 6])


def test_the_clip_bounds_a_right_completion_above_and_a_wrong_one_below_and_nothing_else():
    """C+(x) = min(x, 1 + high), C-(x) = max(x, 1 - low)."""
    right, wrong = [1.5, 0.5], [1.5, 0.5]
    loss, gradient = loss_and_gradient(batch([right, wrong], [1, -1]), denominator=2)
    assert loss == pytest.approx(-((1.28 + 0.5) / 2 - (1.5 + 0.8) / 2) / 2)
    assert gradient == pytest.approx([0, -0.5 / 4, 1.5 / 4, 0])


def test_the_counts_tell_the_two_sides_of_the_clip_apart():
    arguments = batch([[1.5, 0.5, 1.29], [1.5, 0.5, 0.81]], [1, -1])
    assert count_clipped(**arguments) == ClipCounts(num_low=1, num_high=2)


def test_the_loss_is_averaged_over_the_denominator_it_is_given():
    arguments = batch([[1.1], [0.9]], [1, -1])
    of_the_pair = grpo_loss(**arguments, denominator=2).item()
    assert grpo_loss(**arguments, denominator=8).item() == pytest.approx(of_the_pair / 4)


def test_every_completion_weighs_the_same_however_long_it_is():
    short, long = [1.2], [1.2] * 10
    assert grpo_loss(**batch([short], [1]), denominator=1).item() == pytest.approx(
        grpo_loss(**batch([long], [1]), denominator=1).item()
    )


@pytest.mark.parametrize("advantage", [1.0, -1.0])
def test_a_ratio_beyond_all_bounds_gives_no_nan(advantage: float):
    logprobs = torch.tensor([-0.1, -900.0], requires_grad=True)
    loss = grpo_loss(
        policy_logprobs=logprobs,
        old_logprobs=torch.tensor([-900.0, -0.1]),
        advantages=torch.tensor([advantage]),
        lengths=torch.tensor([2]),
        denominator=2,
        **CLIP,
    )
    loss.backward()
    assert logprobs.grad is not None
    assert torch.isfinite(loss)
    assert torch.isfinite(logprobs.grad).all()
