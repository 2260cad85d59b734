"""What a step learns: its groups split into minibatches, one update each."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from grpo.batching import split_evenly
from grpo.groups import Group
from grpo.optimizer import learning_rate_at
from grpo.policy import Policy
from grpo.spec.job import JobSpec
from grpo.update import Minibatch, Update, make_minibatch, policy_logprobs, update


@dataclass(frozen=True)
class Learning:
    """The updates of one step, and the policy's logprobs from before the first of them."""

    updates: list[Update]
    minibatches: list[Minibatch]  # those with a row; one an update
    num_skipped: int  # minibatches of ties only
    learning_rate: float  # of the last update; the next one's when there was none
    logprob_gaps: Tensor  # |policy - sampler| of every completion token with a gradient: [T]


def learn(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    groups: Sequence[Group],
    *,
    spec: JobSpec,
    num_updates: int,
) -> Learning:
    """Make a step's updates.  Prompts are split into minibatches before ties are dropped.

    The first update is on-policy.  The old logprobs of the later ones are computed before it.
    """
    algorithm, temperature = spec.algorithm, spec.rollout.temperature
    minibatches = [
        make_minibatch(part, algorithm) for part in split_evenly(groups, algorithm.minibatches)
    ]
    live = [minibatch for minibatch in minibatches if minibatch.rows]
    old = [policy_logprobs(policy, part.rows, temperature=temperature) for part in live[1:]]
    updates: list[Update] = []
    for minibatch, old_logprobs in zip(live, [None, *old], strict=False):
        _set_learning_rate(optimizer, spec, num_updates=num_updates + len(updates))
        updates.append(
            update(
                policy,
                optimizer,
                minibatch,
                old_logprobs=old_logprobs,
                algorithm=algorithm,
                max_grad_norm=spec.optimizer.max_grad_norm,
                temperature=temperature,
            )
        )
    before = [updates[0].policy_logprobs, *old] if updates else []
    return Learning(
        updates=updates,
        minibatches=live,
        num_skipped=len(minibatches) - len(live),
        learning_rate=optimizer.param_groups[0]["lr"],
        logprob_gaps=_gaps(live, before),
    )


def _set_learning_rate(
    optimizer: torch.optim.Optimizer, spec: JobSpec, *, num_updates: int
) -> None:
    rate = learning_rate_at(
        num_updates,
        peak=spec.optimizer.learning_rate,
        warmup_updates=spec.optimizer.warmup_steps,
    )
    for group in optimizer.param_groups:
        group["lr"] = rate


def _gaps(minibatches: Sequence[Minibatch], policy_logprobs: Sequence[list[Tensor]]) -> Tensor:
    """|policy_logprob - sampler_logprob| of each token: [T]"""
    pairs = [
        (logprobs.cpu(), torch.tensor(row.sampler_logprobs))
        for minibatch, by_row in zip(minibatches, policy_logprobs, strict=True)
        for row, logprobs in zip(minibatch.rows, by_row, strict=True)
    ]
    return torch.cat([(policy - sampler).abs() for policy, sampler in pairs] or [torch.empty(0)])
