"""Gradient diagnostics of a run: the quantities that the paper makes claims about."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from grpo.algorithm.gradient_stats import GradientVariance, cosine
from grpo.learning.forward_backward import Baselines, backward
from grpo.learning.memory import TokenBudget
from grpo.learning.minibatch import Minibatch, Row, make_minibatches
from grpo.learning.optimizer import trained_parameters
from grpo.models.policy import Policy
from grpo.models.token_batch import split_evenly
from grpo.rollout.groups import Group
from grpo.spec.algorithm import Algorithm, Kl, Ties
from grpo.spec.job import JobSpec

# Every token has the same weight, and on-policy the gradient is -A * grad log pi: DPO's, for A =
# ±1/2.
DPO = Algorithm(loss="dapo")


def diagnose(
    policy: Policy, groups: Sequence[Group], *, spec: JobSpec, budget: TokenBudget
) -> dict[str, float]:
    """Return the variance of the first update's gradient, and its cosine with DPO's, as metrics.

    Call it before the update, with clear gradients; it leaves them clear.  The KL term is left out,
    as in the paper.  Needs memory for three more gradients.
    """
    gradients = _Gradients(policy, temperature=spec.rollout.temperature, budget=budget)
    by_group, num_ties = _by_group(groups, spec)
    variance = GradientVariance()
    for minibatch in by_group:
        variance.add(gradients.of(minibatch, spec.algorithm.model_copy(update={"kl": Kl()})))
    variance.add_ties(num_ties)
    metrics: dict[str, float] = {}
    if variance.num_groups > 1:
        metrics["diagnostics/gradient_variance"] = variance.of_a_group
        metrics["diagnostics/batch_gradient_variance"] = variance.of_the_batch
    pairs = [pair for minibatch in by_group for pair in _best_and_worst(minibatch.rows)]
    if pairs:
        of_dpo = gradients.of(_dpo_minibatch(pairs), DPO)
        if variance.mean.any() and of_dpo.any():  # a correction may mask every completion
            metrics["diagnostics/dpo_cosine"] = cosine(variance.mean, of_dpo)
    return metrics


class _Gradients:
    def __init__(self, policy: Policy, *, temperature: float, budget: TokenBudget) -> None:
        self._policy = policy
        self._temperature = temperature
        self._budget = budget

    def of(self, minibatch: Minibatch, algorithm: Algorithm) -> Tensor:
        """Return the on-policy gradient over all trained weights: [D]"""
        model = self._policy.model
        backward(
            self._policy,
            minibatch,
            Baselines(),
            algorithm=algorithm,
            temperature=self._temperature,
            budget=self._budget,
        )
        gradients = [
            torch.zeros_like(weight) if weight.grad is None else weight.grad
            for weight in trained_parameters(model).values()
        ]
        whole = torch.cat([gradient.flatten() for gradient in gradients])
        model.zero_grad(set_to_none=True)
        return whole


def _by_group(groups: Sequence[Group], spec: JobSpec) -> tuple[list[Minibatch], int]:
    """Return the first update's groups, one minibatch each, and the number of groups without rows.

    Each minibatch is scaled so that the mean of the groups' gradients is the update's gradient.
    """
    algorithm, max_tokens = spec.algorithm, spec.rollout.max_tokens
    update = make_minibatches(groups, algorithm, max_tokens=max_tokens)[0]
    part = split_evenly(groups, algorithm.minibatches)[0]
    dropping = algorithm.model_copy(update={"ties": Ties()})
    by_group = [make_minibatches([group], dropping, max_tokens=max_tokens)[0] for group in part]
    live = [
        replace(minibatch, denominator=update.denominator / len(part))
        for minibatch in by_group
        if minibatch.rows
    ]
    return live, len(part) - len(live)


def _best_and_worst(rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Return a group's best and worst rows; none if their advantages are equal."""
    best = max(rows, key=lambda row: row.advantage)
    worst = min(rows, key=lambda row: row.advantage)
    return [(best, worst)] if best.advantage > worst.advantage else []


def _dpo_minibatch(pairs: Sequence[tuple[Row, Row]]) -> Minibatch:
    """Return a minibatch with DPO's mean loss over pairs (chosen, rejected).

    With the policy itself as the reference, DPO's gradient is
    -beta/2 * (grad log pi(chosen) - grad log pi(rejected)) (arXiv 2305.18290, eq. 7), sums over a
    completion's tokens; at beta 1.
    """
    rows = tuple(
        replace(row, advantage=advantage)
        for chosen, rejected in pairs
        for row, advantage in ((chosen, 0.5), (rejected, -0.5))
    )
    return Minibatch(
        rows=rows,
        rollouts=(),
        denominator=len(pairs),
        num_completions=len(rows),
        num_completion_tokens=sum(len(row.completion_ids) for row in rows),
    )
