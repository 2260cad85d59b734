"""The updates of a step: its groups split into minibatches, one update each per epoch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from grpo.algorithm.kl import kl_estimates
from grpo.learning.forward_backward import Baselines, row_logprobs
from grpo.learning.gradient_diagnostics import diagnose
from grpo.learning.memory import TokenBudget
from grpo.learning.minibatch import Minibatch, Row, make_minibatches
from grpo.learning.optimizer import learning_rate_at
from grpo.learning.update import Update, update
from grpo.models.policy import Policy
from grpo.models.reference import Reference
from grpo.rollout.groups import Group, Rollout
from grpo.spec.job import JobSpec


@dataclass(frozen=True)
class StepUpdates:
    """The updates of one step, and the policy's logprobs from before the first of them."""

    updates: list[Update]
    minibatches: list[Minibatch]  # all minibatches of the step
    num_skipped: int  # updates not made: their minibatches have no rows
    learning_rate: float  # of the last update; of the next one if none was made
    policy_logprobs: list[list[Tensor]]  # by live minibatch and row: [|o|]

    @property
    def live(self) -> list[Minibatch]:
        """The minibatches with rows: one per update, in each epoch."""
        return [minibatch for minibatch in self.minibatches if minibatch.rows]

    @cached_property
    def logprob_gaps(self) -> Tensor:
        """|policy - sampler| logprob of every trained completion token: [T]"""
        gaps = [
            (logprobs.cpu() - torch.tensor(row.sampler_logprobs)).abs()
            for minibatch, by_row in zip(self.live, self.policy_logprobs, strict=True)
            for row, logprobs in zip(minibatch.rows, by_row, strict=True)
        ]
        return torch.cat(gaps) if gaps else torch.empty(0)

    @property
    def entropy(self) -> float:
        """The mean entropy of the policy at the trained tokens; requires an update."""
        entropy_sum = sum(update.result.entropy_sum for update in self.updates)
        return entropy_sum / sum(update.num_tokens for update in self.updates)

    def policy_logprobs_of(self, group: Group) -> list[list[float] | None]:
        """Return the policy's logprobs of each rollout's tokens; None for a rollout left out."""
        known = {
            id(rollout): logprobs
            for minibatch, by_row in zip(self.live, self.policy_logprobs, strict=True)
            for rollout, logprobs in zip(minibatch.rollouts, by_row, strict=True)
        }
        return [
            known[id(rollout)].tolist() if id(rollout) in known else None
            for rollout in group.rollouts
        ]


@dataclass(frozen=True)
class _Plan:
    """The position of a step in the run's schedule."""

    num_skipped: int
    total_updates: int


class Learner:
    """Makes the updates of each step.  `reference` is given where kl.beta > 0."""

    def __init__(
        self,
        spec: JobSpec,
        policy: Policy,
        optimizer: torch.optim.Optimizer,
        reference: Reference | None,
        *,
        budget: TokenBudget,
    ) -> None:
        self._spec = spec
        self._policy = policy
        self._optimizer = optimizer
        self._reference = reference
        self._budget = budget

    def learn(
        self, groups: Sequence[Group], *, num_updates: int, num_skipped: int, total_updates: int
    ) -> StepUpdates:
        """Make a step's updates; so far `num_updates` were made and `num_skipped` skipped, of an
        expected `total_updates` in the run.

        The first update is on-policy.  The old logprobs of the later ones are computed before it.
        """
        algorithm = self._spec.algorithm
        minibatches = make_minibatches(groups, algorithm, max_tokens=self._spec.rollout.max_tokens)
        live = [minibatch for minibatch in minibatches if minibatch.rows]
        old = [None, *(self._policy_logprobs(minibatch.rows) for minibatch in live[1:])]
        reference = [self._reference_logprobs(minibatch.rows) for minibatch in live]
        plan = _Plan(num_skipped=num_skipped, total_updates=total_updates)
        self._set_learning_rate(num_updates, plan)  # reported even without an update
        updates: list[Update] = []
        for _ in range(algorithm.epochs_per_batch):
            for place, minibatch in enumerate(live):
                self._set_learning_rate(num_updates + len(updates), plan)
                made = self._update(minibatch, Baselines(old[place], reference[place]))
                updates.append(made)
                old[place] = old[place] or made.result.policy_logprobs
        return StepUpdates(
            updates=updates,
            minibatches=minibatches,
            num_skipped=(len(minibatches) - len(live)) * algorithm.epochs_per_batch,
            learning_rate=self._optimizer.param_groups[0]["lr"],
            policy_logprobs=[logprobs for logprobs in old[: len(live)] if logprobs is not None],
        )

    def diagnose(self, groups: Sequence[Group]) -> dict[str, float]:
        """Return metrics of the gradient that the next `learn` uses first."""
        return diagnose(self._policy, groups, spec=self._spec, budget=self._budget)

    def penalise(self, rollouts: Sequence[Rollout]) -> list[Rollout]:
        """Return rollouts with the penalty -beta * KL(policy, reference), summed over tokens."""
        assert self._reference is not None  # given where kl.beta > 0
        kl = self._spec.algorithm.kl
        rows = [
            Row(
                rollout.prompt.token_ids,
                rollout.completion.token_ids,
                rollout.completion.sampler_logprobs,
                0.0,
            )
            for rollout in rollouts
        ]
        compared = zip(self._policy_logprobs(rows), self._logprobs_of_reference(rows), strict=True)
        penalties = [
            -kl.beta * kl_estimates(policy, reference, estimator=kl.estimator).sum().item()
            for policy, reference in compared
        ]
        return [
            replace(
                rollout,
                score=replace(rollout.score, parts={**rollout.score.parts, "kl": penalty}),
                penalty=penalty,
            )
            for rollout, penalty in zip(rollouts, penalties, strict=True)
        ]

    def _update(self, minibatch: Minibatch, baselines: Baselines) -> Update:
        return update(
            self._policy,
            self._optimizer,
            minibatch,
            baselines,
            spec=self._spec,
            budget=self._budget,
        )

    def _set_learning_rate(self, num_updates: int, plan: "_Plan") -> None:
        settings, algorithm = self._spec.optimizer, self._spec.algorithm
        rate = learning_rate_at(
            num_updates,
            num_skipped=plan.num_skipped,
            peak=settings.peak(
                algorithm.prompts_per_update, lora=self._spec.model.lora is not None
            ),
            warmup_updates=settings.warmup_steps,
            schedule=settings.schedule,
            total_updates=plan.total_updates,
        )
        for group in self._optimizer.param_groups:
            group["lr"] = rate

    def _policy_logprobs(self, rows: Sequence[Row]) -> list[Tensor]:
        temperature = self._spec.rollout.temperature
        return row_logprobs(
            lambda batch: self._policy.logprobs(batch, temperature=temperature)[0],
            rows,
            device=self._policy.device,
            budget=self._budget,
        )

    def _reference_logprobs(self, rows: Sequence[Row]) -> list[Tensor] | None:
        """Return the reference's logprobs if the KL term is in the loss, else None."""
        if self._reference is None or self._spec.algorithm.kl.where != "loss":
            return None
        return self._logprobs_of_reference(rows)

    def _logprobs_of_reference(self, rows: Sequence[Row]) -> list[Tensor]:
        assert self._reference is not None
        reference, temperature = self._reference, self._spec.rollout.temperature
        return row_logprobs(
            lambda batch: reference.logprobs(batch, temperature=temperature),
            rows,
            device=self._policy.device,
            budget=self._budget,
        )
