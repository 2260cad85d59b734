"""Statements of the paper (arXiv 2510.00977), checked with the functions used in a run."""

import math
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from grpo.algorithm.advantage import advantages, tied
from grpo.algorithm.gradient_stats import GradientVariance, cosine
from grpo.algorithm.loss import policy_loss
from grpo.spec.algorithm import Advantage, Algorithm, LossName
from tests.parity.dpo import dpo_loss

LOSSES = ("grpo", "bnpo", "dr_grpo", "dapo", "cispo", "gspo")


def advantages_of(rewards: Tensor, *, group_size: int) -> Tensor:
    """Return advantages of the default algorithm, for groups of one size: [N] -> [N]"""
    sizes = torch.full((len(rewards) // group_size,), group_size)
    settings = Advantage().model_dump(include={"scale", "std_ddof", "eps", "tie_margin"})
    return advantages(rewards, sizes, **settings)


def loss_of(
    policy_logprobs: Tensor,
    old_logprobs: Tensor,
    *,
    advantages: Tensor,
    lengths: Tensor,
    denominator: float,
    **settings: Any,
) -> Tensor:
    return policy_loss(
        Algorithm(**settings),
        policy_logprobs=policy_logprobs,
        old_logprobs=old_logprobs,
        advantages=advantages,
        lengths=lengths,
        denominator=denominator,
        reference_logprobs=None,
        sampler_weights=None,
    )


def off_policy_group(seed: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return ragged completions beyond both clip bounds: policy and old logprobs, lengths"""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 9, (size,), generator=generator)
    old = -3 * torch.rand(int(lengths.sum()), generator=generator, dtype=torch.float64)
    moved = old + 0.4 * torch.randn(len(old), generator=generator, dtype=torch.float64)
    return moved.requires_grad_(), old, lengths


def mean_of_clipped(ratios: list[Tensor], *, right: bool) -> Tensor:
    """mean over completions of 1/|o| sum_t C(ratio): C+(x) = min(x, 1.28), C-(x) = max(x, 0.8)"""
    bounded = [row.clamp(max=1.28) if right else row.clamp(min=0.8) for row in ratios]
    return torch.stack([row.mean() for row in bounded]).mean()


@pytest.mark.parametrize("num_right", [1, 5, 15])
@pytest.mark.parametrize("seed", range(3))
def test_grpo_is_a_contrast_of_right_and_wrong_completions_equation_10(seed: int, num_right: int):
    policy, old, lengths = off_policy_group(seed, 16)
    rewards = torch.tensor([1.0] * num_right + [0.0] * (16 - num_right), dtype=torch.float64)
    ours = loss_of(
        policy,
        old,
        advantages=advantages_of(rewards, group_size=16),
        lengths=lengths,
        denominator=16,
    )

    rows = list((policy - old).exp().split(lengths.tolist()))
    right = mean_of_clipped(rows[:num_right], right=True)
    wrong = mean_of_clipped(rows[num_right:], right=False)
    p = num_right / 16
    objective = math.sqrt(p * (1 - p)) * (right - wrong)

    assert ours.item() == pytest.approx(-objective.item())
    [our_gradient] = torch.autograd.grad(ours, policy, retain_graph=True)
    [papers] = torch.autograd.grad(-objective, policy)
    torch.testing.assert_close(our_gradient, papers)
    assert (our_gradient == 0).any()  # the clip was met


@pytest.mark.parametrize("seed", range(3))
def test_k_grpo_at_k_2_is_equation_14(seed: int):
    """Return three pairs: right and wrong, wrong and right, and a tie."""
    policy, old, lengths = off_policy_group(seed, 6)
    rewards = torch.tensor([1, 0, 0, 1, 1, 1], dtype=torch.float64)
    ours = loss_of(
        policy,
        old,
        advantages=advantages_of(rewards, group_size=2),
        lengths=lengths,
        denominator=6,
    )

    a, b, c, d, _, _ = (policy - old).exp().split(lengths.tolist())
    contrasts = [
        mean_of_clipped([right], right=True) - mean_of_clipped([wrong], right=False)
        for right, wrong in ((a, b), (d, c))
    ]
    objective = torch.stack([*contrasts, torch.zeros(())]).mean() / 2

    assert ours.item() == pytest.approx(-objective.item())
    [our_gradient] = torch.autograd.grad(ours, policy, retain_graph=True)
    [papers] = torch.autograd.grad(-objective, policy)
    torch.testing.assert_close(our_gradient, papers)


def expected_advantage(outcome: int, p: float, *, group_size: int) -> float:
    """Return the expectation over the G - 1 siblings: binomial weights, one group per count."""
    others = group_size - 1
    groups = torch.stack(
        [torch.tensor([outcome] + [1] * c + [0] * (others - c)) for c in range(group_size)]
    ).double()
    found = advantages_of(groups.flatten(), group_size=group_size).view_as(groups)[:, 0]
    log_weights = [
        math.lgamma(others + 1) - math.lgamma(c + 1) - math.lgamma(others - c + 1)
        + c * math.log(p) + (others - c) * math.log(1 - p)
        for c in range(group_size)
    ]  # fmt: skip
    return (torch.tensor(log_weights).double().exp() * found).sum().item()


@pytest.mark.parametrize("p", [0.05, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("outcome", [0, 1])
def test_in_a_pair_the_expected_advantage_is_x_minus_p_proposition_5_1(outcome: int, p: float):
    assert expected_advantage(outcome, p, group_size=2) == pytest.approx(outcome - p)


@pytest.mark.parametrize("p", [0.05, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("outcome", [0, 1])
def test_in_a_large_group_it_is_the_normalized_outcome_proposition_5_1(outcome: int, p: float):
    """The gap falls as 1/G: the sample's deviation is off by a term of that order."""
    limit = (outcome - p) / math.sqrt(p * (1 - p))
    gaps = [abs(expected_advantage(outcome, p, group_size=size) - limit) for size in (128, 512)]
    assert gaps[1] < 0.02 * abs(limit)
    assert gaps[1] < gaps[0] / 3


def batch_gradients(
    *, p: float, num_batches: int, num_prompts: int, group_size: int, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """d loss / d theta of a policy that is right with probability p = sigmoid(theta).

    Of each batch of `num_prompts` groups and of each group: [B], [B, Q]
    """
    generator = torch.Generator().manual_seed(seed)
    shape = (num_batches, num_prompts, group_size)
    right = (torch.rand(shape, generator=generator) < p).double()
    logprobs = torch.where(right > 0, math.log(p), math.log(1 - p)).flatten().requires_grad_()
    loss = loss_of(
        logprobs,
        logprobs.detach(),
        advantages=advantages_of(right.flatten(), group_size=group_size),
        lengths=torch.ones(right.numel(), dtype=torch.int64),
        denominator=group_size,
    )
    loss.backward()
    assert logprobs.grad is not None
    of_groups = (logprobs.grad.view(shape) * (right - p)).sum(dim=2)  # d logprob / d theta = x - p
    return of_groups.mean(dim=1), of_groups


@pytest.mark.parametrize("group_size", [2, 16])
def test_the_batch_gradients_variance_falls_as_one_over_the_prompts_lemma_5_3(group_size: int):
    """2,000 batches determine a variance to 3 %; asserted to five times that."""
    scaled = []
    for num_prompts in (4, 16, 64):
        of_batches, of_groups = batch_gradients(
            p=0.3, num_batches=2000, num_prompts=num_prompts, group_size=group_size
        )
        seen = GradientVariance()
        for gradient in of_groups.flatten()[:2000]:
            seen.add(gradient.view(1))
        assert of_batches.var().item() == pytest.approx(seen.of_a_group / num_prompts, rel=0.15)
        scaled.append(of_batches.var().item() * num_prompts)
    assert scaled == pytest.approx([scaled[0]] * 3, rel=0.15)


def test_variance_times_rollouts_is_reported_across_group_sizes():
    """The paper states equality for all G, which does not hold; printed, not asserted (-s)."""
    for p in (0.1, 0.5):
        for group_size in (2, 4, 8, 16):
            of_batches, _ = batch_gradients(
                p=p, num_batches=4000, num_prompts=16, group_size=group_size
            )
            scaled = of_batches.var().item() * 16 * group_size
            assert math.isfinite(scaled)
            sys.stdout.write(f"p={p} G={group_size:2d}: Var * Q * G = {scaled:.3f}\n")


def test_the_gradients_mean_is_that_of_the_expected_advantage():
    """E[A (x - p)] over both outcomes with A = x - p: minus p (1 - p) by theta, for pairs."""
    of_batches, _ = batch_gradients(p=0.3, num_batches=4000, num_prompts=16, group_size=2)
    assert of_batches.mean().item() == pytest.approx(-0.3 * 0.7, rel=0.02)


@pytest.mark.parametrize("loss", LOSSES)
def test_leaving_out_ties_keeps_every_losss_value_and_gradient(loss: LossName):
    policy, old, lengths = off_policy_group(7, 12)
    rewards = torch.tensor([1, 0, 1, 1, 0, 0, 0, 1, 1, 1, 0, 1], dtype=torch.float64)
    sizes = torch.full((6,), 2)
    found = advantages_of(rewards, group_size=2)
    whole = loss_of(policy, old, advantages=found, lengths=lengths, denominator=12, loss=loss)

    live = ~tied(rewards, sizes, tie_margin=0.0).repeat_interleave(2)  # [N]
    assert live.tolist() == [True] * 2 + [False] * 4 + [True] * 2 + [False] * 2 + [True] * 2
    of_live = live.repeat_interleave(lengths)  # [T]
    without = loss_of(
        policy[of_live],
        old[of_live],
        advantages=found[live],
        lengths=lengths[live],
        denominator=12,
        loss=loss,
    )
    assert without.item() == pytest.approx(whole.item(), rel=1e-12)
    [of_whole] = torch.autograd.grad(whole, policy)
    [of_without] = torch.autograd.grad(without, policy)
    torch.testing.assert_close(of_without, of_whole, rtol=1e-12, atol=0)
    assert of_whole.abs().max() > 0.01


@pytest.mark.parametrize(
    ("num_right", "num_wrong", "expected"),
    [(5, 5, 1.0), (2, 8, 0.8)],  # 2 / sqrt((1/2 + 1/8) * (2 + 8))
)
def test_a_pairs_gradient_is_dpos_but_for_the_length_it_divides_by(
    num_right: int, num_wrong: int, expected: float
):
    """Gradient of DPO with the policy itself as the reference."""
    policy = torch.full((num_right + num_wrong,), -1.0, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([num_right, num_wrong])
    pair = loss_of(
        policy,
        policy.detach(),
        advantages=torch.tensor([1.0, -1.0], dtype=torch.float64),
        lengths=lengths,
        denominator=2,
    )
    chosen, rejected = (row.sum() for row in policy.split(lengths.tolist()))
    dpo = dpo_loss(
        chosen.view(1),
        rejected.view(1),
        reference_chosen_logprobs=chosen.detach().view(1),
        reference_rejected_logprobs=rejected.detach().view(1),
        beta=0.1,
    )
    [of_pair] = torch.autograd.grad(pair, policy)
    [of_dpo] = torch.autograd.grad(dpo, policy)
    assert cosine(of_pair, of_dpo) == pytest.approx(expected)
