"""The policy loss in its forms, by values worked by hand."""

import math
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from grpo.algorithm.importance_ratio import importance_ratios
from grpo.algorithm.loss import ClipCounts, count_clipped, policy_loss
from grpo.algorithm.loss_table import LOSSES
from grpo.spec.algorithm import Algorithm, Kl, LossName

CLIP: dict[str, Any] = {"clip_low": 0.2, "clip_high": 0.28}


def batch(ratios: list[list[float]], advantages: list[float]) -> dict[str, Any]:
    """Completions whose policy/old ratios are given token by token; every old logprob is -1."""
    logprobs = torch.tensor(
        [math.log(ratio) - 1 for of_row in ratios for ratio in of_row], dtype=torch.float64
    )
    return {
        "policy_logprobs": logprobs.requires_grad_(),
        "old_logprobs": torch.full_like(logprobs, -1).detach(),
        "advantages": torch.tensor(advantages).double(),
        "lengths": torch.tensor([len(of_row) for of_row in ratios]),
    }


def loss_of(
    arguments: dict[str, Any],
    *,
    denominator: float,
    reference_logprobs: Tensor | None = None,
    sampler_weights: Tensor | None = None,
    **algorithm: Any,
) -> Tensor:
    return policy_loss(
        Algorithm(**{**CLIP, **algorithm}),
        **arguments,
        denominator=denominator,
        reference_logprobs=reference_logprobs,
        sampler_weights=sampler_weights,
    )


def loss_and_gradient(
    arguments: dict[str, Any], *, denominator: float, **settings: Any
) -> tuple[float, list[float]]:
    loss = loss_of(arguments, denominator=denominator, **settings)
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


def test_delta_bounds_a_wrong_completion_above_as_well():
    wrong = batch([[5, 1.5, 0.5]], [-2])
    loss, gradient = loss_and_gradient(wrong, denominator=1, delta=2.0)
    assert loss == pytest.approx((2 + 1.5 + 0.8) * 2 / 3)
    assert gradient == pytest.approx([0, 1.5 * 2 / 3, 0])


def test_delta_leaves_a_right_completion_to_its_own_clip():
    right = batch([[5, 1.1]], [1])
    assert loss_of(right, denominator=1, delta=2.0).item() == pytest.approx(-(1.28 + 1.1) / 2)


def test_cispo_weighs_every_tokens_logprob_by_a_constant_bounded_ratio():
    arguments = batch([[4, 0.5], [4]], [1, -2])  # logprobs: log of the ratio, minus 1
    loss, gradient = loss_and_gradient(arguments, denominator=3, loss="cispo", clip_high=3)
    high, low = math.log(4) - 1, math.log(0.5) - 1
    assert loss == pytest.approx(-(3 * high + 0.5 * low - 2 * 3 * high) / 3)
    assert gradient == pytest.approx([-3 / 3, -0.5 / 3, 2 * 3 / 3])


@pytest.mark.parametrize("settings", [{"loss": "gspo"}, {"loss": "grpo", "ratio": "sequence"}])
def test_the_sequences_ratio_is_the_geometric_mean_and_its_gradient_reaches_every_token(
    settings: dict[str, Any],
):
    # Geometric means 1.1, 0.9 and 1.2.
    arguments = batch([[1.21, 1.0], [0.9, 0.9, 0.9], [1.2]], [1, -1, 1])
    loss, gradient = loss_and_gradient(arguments, denominator=2, **settings)
    assert loss == pytest.approx(-(1.1 - 0.9 + 1.2) / 2)
    assert gradient == pytest.approx([-1.1 / 4] * 2 + [0.9 / 6] * 3 + [-1.2 / 2])


def test_the_sequences_ratio_is_clipped_as_a_whole():
    """sqrt(2 * 1) is above 1.28: the token at ratio 1 loses its gradient as well."""
    loss, gradient = loss_and_gradient(batch([[2, 1]], [1]), denominator=1, loss="gspo")
    assert loss == pytest.approx(-1.28)
    assert gradient == [0, 0]


@pytest.mark.parametrize(
    ("loss", "denominator", "expected"),
    [
        ("grpo", 2, -((1.2 + 1.0) / 2 - 0.9) / 2),  # two completions
        ("bnpo", 3, -(1.2 + 1.0 - 0.9) / 3),  # three tokens
        ("dapo", 10, -(1.2 + 1.0 - 0.9) / 10),  # twenty tokens of a step of two minibatches
        ("dr_grpo", 2 * 8, -(1.2 + 1.0 - 0.9) / 16),  # two completions of at most eight tokens
    ],
)
def test_each_loss_weighs_its_tokens_in_its_own_way(
    loss: LossName, denominator: int, expected: float
):
    pair = batch([[1.2, 1.0], [0.9]], [1, -1])
    assert loss_of(pair, denominator=denominator, loss=loss).item() == pytest.approx(expected)


def test_with_grpo_a_completion_weighs_the_same_however_long_it_is_and_with_dapo_it_does_not():
    short, long = batch([[1.2]], [1]), batch([[1.2] * 10], [1])
    assert loss_of(short, denominator=1).item() == pytest.approx(-1.2)
    assert loss_of(long, denominator=1).item() == pytest.approx(-1.2)
    assert loss_of(long, denominator=1, loss="dapo").item() == pytest.approx(-12)


@pytest.mark.parametrize("loss", ["grpo", "bnpo", "dapo", "dr_grpo", "cispo", "gspo"])
def test_the_parts_of_a_minibatch_add_up_to_the_whole(loss: LossName):
    rows, advantages = [[1.2, 0.9], [0.7], [1.4, 1.0, 0.8]], [1.0, -1.0, 0.5]
    whole = loss_of(batch(rows, advantages), denominator=6, loss=loss)
    parts = [
        loss_of(batch(rows[:1], advantages[:1]), denominator=6, loss=loss),
        loss_of(batch(rows[1:], advantages[1:]), denominator=6, loss=loss),
    ]
    assert torch.stack(parts).sum().item() == pytest.approx(whole.item())


def test_the_sampler_weighs_the_policys_part_and_not_the_kl():
    pair = batch([[1.0, 1.0], [1.0]], [1, -1])
    reference = torch.full((3,), -1 + math.log(2)).double()  # k3 of log 2: 2 - log 2 - 1
    loss = loss_of(
        pair,
        denominator=2,
        kl=Kl(beta=0.1),
        reference_logprobs=reference,
        sampler_weights=torch.tensor([2.0, 0.0, 0.5]).double(),
    )
    policy = -(2 + 0) / 2 + 0.5
    kl = 1 - math.log(2)
    assert loss.item() == pytest.approx((policy + 0.1 * kl * 2) / 2)


def test_a_kl_that_is_taken_off_the_reward_is_not_in_the_loss_too():
    pair = batch([[1.1], [1.0]], [1, -1])
    reference = torch.full((2,), -3.0).double()
    in_reward = Kl(beta=0.1, where="reward")
    plain = loss_of(pair, denominator=2).item()
    assert loss_of(
        pair, denominator=2, kl=in_reward, reference_logprobs=reference
    ).item() == pytest.approx(plain)


@pytest.mark.parametrize("loss", ["grpo", "bnpo", "dapo", "dr_grpo", "cispo", "gspo"])
def test_a_completion_without_a_token_adds_nothing_and_no_nan(loss: LossName):
    rows, advantages = [[1.2, 0.9], [0.7]], [1.0, -1.0]
    without = loss_and_gradient(batch(rows, advantages), denominator=3, loss=loss)
    with_it = loss_and_gradient(
        batch([rows[0], [], rows[1]], [1.0, 5.0, -1.0]), denominator=3, loss=loss
    )
    assert with_it == without
    assert loss_and_gradient(batch([[]], [1.0]), denominator=3, loss=loss) == (0, [])


@pytest.mark.parametrize("loss", ["grpo", "cispo", "gspo"])
@pytest.mark.parametrize("advantage", [1.0, -1.0, 0.0])
@pytest.mark.parametrize("weight", [1.0, 0.0])
def test_a_ratio_beyond_all_bounds_gives_no_nan(loss: LossName, advantage: float, weight: float):
    logprobs = torch.tensor([-0.1, -900.0], requires_grad=True)
    value = policy_loss(
        Algorithm(loss=loss, kl=Kl(beta=0.1)),
        policy_logprobs=logprobs,
        old_logprobs=torch.tensor([-900.0, -0.1]),
        advantages=torch.tensor([advantage]),
        lengths=torch.tensor([2]),
        denominator=2,
        reference_logprobs=torch.tensor([-900.0, -0.1]),
        sampler_weights=torch.full((2,), weight),
    )
    value.backward()
    assert logprobs.grad is not None
    assert torch.isfinite(value)
    assert torch.isfinite(logprobs.grad).all()


def test_a_sequences_ratio_is_bounded_too():
    ratios = importance_ratios(
        torch.tensor([-1.0, -1.0]),
        torch.tensor([-900.0, -900.0]),
        torch.tensor([2]),
        level="sequence",
    )
    assert ratios.tolist() == pytest.approx([math.exp(20)] * 2)


def test_the_counts_distinguish_the_two_sides_of_the_clip():
    arguments = batch([[1.5, 0.5, 1.29], [1.5, 0.5, 0.81]], [1, -1])
    assert count_clipped(**arguments, **CLIP, loss="grpo", level="token") == ClipCounts(
        num_low=1, num_high=2
    )


def test_a_sequences_ratio_counts_once_a_completion():
    # Geometric means 1.5, 0.6 and 1.0; the empty completion counts as nothing.
    arguments = batch([[1.5, 1.5], [], [0.6] * 3, [2.0, 0.5]], [1, 1, -1, 1])
    assert count_clipped(**arguments, **CLIP, loss="gspo", level="sequence") == ClipCounts(
        num_low=1, num_high=1
    )


def test_cispo_counts_only_tokens_capped_by_its_bound():
    arguments = batch([[4, 2, 0.1], [4, 0.1]], [1, -1])
    assert count_clipped(
        **arguments, clip_low=0.2, clip_high=3.0, loss="cispo", level="token"
    ) == ClipCounts(num_low=0, num_high=1)


def test_counts_of_micro_batches_add_up():
    assert ClipCounts(1, 2) + ClipCounts(3, 4) == ClipCounts(4, 6)


def test_every_loss_of_a_spec_has_its_row():
    assert set(LOSSES) == set(get_args(LossName))
