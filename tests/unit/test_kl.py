"""KL estimates, by values worked by hand and by summing a whole distribution."""

import math

import pytest
import torch

from grpo.algorithm.kl import KlEstimator, kl_estimates

P = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)  # the policy's
Q = torch.tensor([0.25, 0.25, 0.5], dtype=torch.float64)  # the reference's


def test_the_three_estimates_of_a_token_that_the_reference_holds_twice_as_likely():
    policy, reference = torch.tensor([-2.0]), torch.tensor([-2.0 + math.log(2)])
    d = math.log(2)
    assert kl_estimates(policy, reference, estimator="k1").item() == pytest.approx(-d)
    assert kl_estimates(policy, reference, estimator="k2").item() == pytest.approx(d**2 / 2)
    assert kl_estimates(policy, reference, estimator="k3").item() == pytest.approx(2 - d - 1)


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_k1_and_k3_are_the_kl_in_the_mean(estimator: KlEstimator):
    kl = (P * (P / Q).log()).sum().item()
    mean = (P * kl_estimates(P.log(), Q.log(), estimator=estimator)).sum().item()
    assert mean == pytest.approx(kl)


def test_k3_is_never_negative_and_0_where_the_two_agree():
    policy = torch.linspace(-8, 0, 50, dtype=torch.float64)
    assert (kl_estimates(policy, policy.flip(0), estimator="k3") >= 0).all()
    assert kl_estimates(policy, policy, estimator="k3").tolist() == [0.0] * 50


@pytest.mark.parametrize("estimator", ["k2", "k3"])
def test_as_a_loss_k2_and_k3_pull_the_policy_towards_the_reference(estimator: KlEstimator):
    policy = torch.tensor([-3.0, -1.0], requires_grad=True)
    kl_estimates(policy, torch.tensor([-2.0, -2.0]), estimator=estimator).sum().backward()
    assert policy.grad is not None
    likelier, less_likely = policy.grad.tolist()
    assert likelier < 0 < less_likely  # descent raises the first and lowers the second


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
@pytest.mark.parametrize(("policy", "reference"), [(-900.0, -0.1), (-0.1, -900.0)])
def test_far_apart_an_estimate_is_large_and_finite(
    estimator: KlEstimator, policy: float, reference: float
):
    logprobs = torch.tensor([policy], requires_grad=True)
    estimate = kl_estimates(logprobs, torch.tensor([reference]), estimator=estimator)
    estimate.sum().backward()
    assert 100 < estimate.abs().item() < math.inf
    assert logprobs.grad is not None
    assert torch.isfinite(logprobs.grad).all()
