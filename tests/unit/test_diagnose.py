"""Diagnostics of a real, tiny model's gradients, compared with one-by-one computation."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from grpo.algorithm.gradient_stats import cosine
from grpo.algorithm.importance_ratio import completion_sums
from grpo.data.prompts import Prompt
from grpo.learning.forward_backward import Baselines, backward
from grpo.learning.gradient_diagnostics import diagnose
from grpo.learning.memory import TokenBudget
from grpo.learning.minibatch import make_minibatches
from grpo.models.policy import Policy
from grpo.models.token_batch import token_batch
from grpo.rollout.engines.engine import Completion
from grpo.rollout.groups import Group, Rollout, compare
from grpo.rollout.scorer import Score
from grpo.spec.job import JobSpec
from grpo.spec.resolve import resolve
from tests.parity.dpo import dpo_loss
from tests.unit.tiny_policy import tiny_policy

BUDGET = TokenBudget(100)
PROMPT = Prompt(index=0, row=0, text="", token_ids=(1, 2, 3), answer="", source="", fields={})


@pytest.fixture
def policy() -> Policy:
    return tiny_policy()


def spec_of(**algorithm: Any) -> JobSpec:
    return resolve({"algorithm": algorithm})


def groups_of(rewards: Sequence[Sequence[float]], spec: JobSpec) -> list[Group]:
    """Completions of different lengths."""
    generator = torch.Generator().manual_seed(1)

    def rollout(sibling: int, reward: float) -> Rollout:
        length = int(torch.randint(2, 9, (), generator=generator))
        ids = torch.randint(50, (length,), generator=generator).tolist()
        completion = Completion(tuple(ids), (-1.0,) * length, "stop")
        return Rollout(PROMPT, sibling, completion, "", Score(reward, {}), right=reward > 0)

    batch = [[rollout(*place) for place in enumerate(group)] for group in rewards]
    return compare(batch, advantage=spec.algorithm.advantage)


def update_gradient(policy: Policy, groups: Sequence[Group], spec: JobSpec) -> Tensor:
    """Gradient of one on-policy update with these groups: [D]"""
    [minibatch] = make_minibatches(groups, spec.algorithm, max_tokens=spec.rollout.max_tokens)
    policy.model.zero_grad()
    backward(
        policy,
        minibatch,
        Baselines(),
        algorithm=spec.algorithm,
        temperature=spec.rollout.temperature,
        budget=BUDGET,
    )
    return taken(policy)


def taken(policy: Policy) -> Tensor:
    gradients = [weight.grad for weight in policy.model.parameters() if weight.grad is not None]
    whole = torch.cat([gradient.flatten() for gradient in gradients])
    policy.model.zero_grad()
    return whole


def test_the_variance_is_over_the_groups_gradients_including_ties(policy: Policy):
    spec = spec_of()
    groups = groups_of([(1, 0), (0, 0), (0, 1), (1, 0), (1, 1)], spec)
    measured = diagnose(policy, groups, spec=spec, budget=BUDGET)
    live = [update_gradient(policy, [group], spec) for group in groups if not group.tied]
    everything = torch.stack([*live, *[torch.zeros_like(live[0])] * 2])
    variance = everything.var(dim=0).sum().item()
    assert measured["diagnostics/gradient_variance"] == pytest.approx(variance, rel=1e-4)
    assert measured["diagnostics/batch_gradient_variance"] == pytest.approx(variance / 5, rel=1e-4)


@pytest.mark.parametrize("loss", ["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "gspo"])
def test_the_cosine_is_of_the_updates_gradient_and_of_dpos_on_the_same_pairs(
    policy: Policy, loss: str
):
    spec = spec_of(loss=loss)
    groups = groups_of([(1, 0), (0, 0), (0, 1), (1, 0)], spec)
    measured = diagnose(policy, groups, spec=spec, budget=BUDGET)["diagnostics/dpo_cosine"]

    of_update = update_gradient(policy, groups, spec)
    ids = [
        (PROMPT.token_ids, rollout.completion.token_ids)
        for group in groups
        if not group.tied
        for rollout in sorted(group.rollouts, key=lambda rollout: -rollout.score.total)
    ]
    batch = token_batch(ids, device=policy.device)
    logprobs, _ = policy.logprobs(batch, temperature=1.0)
    chosen, rejected = completion_sums(logprobs, batch.lengths).view(-1, 2).unbind(dim=1)
    dpo_loss(
        chosen,
        rejected,
        reference_chosen_logprobs=chosen.detach(),
        reference_rejected_logprobs=rejected.detach(),
        beta=0.1,
    ).backward()
    expected = cosine(of_update, taken(policy))
    assert measured == pytest.approx(expected, rel=1e-4)
    if loss in ("grpo", "gspo"):
        assert expected < 0.99  # the lengths it divides by differ


def test_a_loss_that_does_not_divide_by_length_is_dpos_on_policy(policy: Policy):
    spec = spec_of(loss="dr_grpo")
    groups = groups_of([(1, 0), (0, 1)], spec)
    measured = diagnose(policy, groups, spec=spec, budget=BUDGET)
    assert measured["diagnostics/dpo_cosine"] == pytest.approx(1, abs=1e-5)


def test_a_diagnosis_measures_the_first_minibatch_and_has_no_side_effect(policy: Policy):
    spec = spec_of(minibatches=2)
    groups = groups_of([(1, 0), (0, 1), (0, 1), (1, 0)], spec)
    before = {name: weight.clone() for name, weight in policy.model.state_dict().items()}
    measured = diagnose(policy, groups, spec=spec, budget=BUDGET)
    assert all(weight.grad is None for weight in policy.model.parameters())
    for name, weight in policy.model.state_dict().items():
        assert torch.equal(weight, before[name])
    assert measured == diagnose(policy, groups[:2], spec=spec_of(), budget=BUDGET)


def test_with_only_ties_the_variance_is_0_and_there_is_no_cosine(policy: Policy):
    groups = groups_of([(0, 0), (1, 1)], spec_of())
    assert diagnose(policy, groups, spec=spec_of(), budget=BUDGET) == {
        "diagnostics/gradient_variance": 0.0,
        "diagnostics/batch_gradient_variance": 0.0,
    }


def test_with_one_group_there_is_no_variance(policy: Policy):
    groups = groups_of([(1, 0)], spec_of())
    assert list(diagnose(policy, groups, spec=spec_of(), budget=BUDGET)) == [
        "diagnostics/dpo_cosine"
    ]
