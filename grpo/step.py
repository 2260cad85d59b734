"""One training step: a batch of rollouts, and the updates made from it.

1. Draw prompts.
2. Draw each prompt's completions, one seeded request each.
3. Score them.
4. Advantages by group; ties are dropped, replaced or grown.
5. Loss and backward over micro-batches of the completions that carry a gradient.
6. Clip, optimizer, schedule.
7. Weights to the engine.
8. The step's records.

1 to 4 are `rollout.collector`'s, 5 and 6 `learning.learner`'s.
"""

from collections.abc import Callable
from dataclasses import replace

from grpo.budget import TOKEN_BUDGET, planned_steps
from grpo.checkpoint.checkpoint import TrainerState
from grpo.data.prompt_sampler import PromptSampler
from grpo.learning.learner import Learner, StepUpdates
from grpo.learning.memory import PeakMemory, TokenBudget
from grpo.parts import Parts
from grpo.reporting.reporter import Reporter
from grpo.rollout.collector import Batch, Collector
from grpo.rollout.failure_rate import FailureRate
from grpo.rollout.rollouter import Rollouter
from grpo.rollout.sampler_gap import large_gap
from grpo.rollout.scorer import too_many_failed
from grpo.rollout.weight_proof import weights_to_compare
from grpo.rollout.weight_sync import to_engine, to_trainer
from grpo.runtime.stopwatch import Stopwatch
from grpo.seeds import derive_seed
from grpo.spec.job import JobSpec


class TrainingStep:
    """Runs the steps of a run, one after another."""

    def __init__(
        self,
        spec: JobSpec,
        parts: Parts,
        *,
        state: TrainerState,
        last_step: int,
        report: Reporter,
        clock: Callable[[], float],
        stopwatch: Stopwatch,
        before_update: Callable[[], None],
    ) -> None:
        """`state`: the run's progress before the first step taken here; `stopwatch`: time since the
        last step, such as a checkpoint's, is reported with the next step; `before_update`: called
        before any weight changes."""
        self._spec = spec
        self._parts = parts
        self._last_step = last_step
        self._report = report
        self._clock = clock
        self._stopwatch = stopwatch
        self._before_update = before_update
        self._sampler = PromptSampler(parts.training.sources, derive_seed(spec.seed, "prompts"))
        if state.sampler is not None:
            self._sampler.restore(dict(state.sampler))
        self._memory = PeakMemory(parts.policy.device)
        self._budget = TokenBudget(state.token_budget or TOKEN_BUDGET[parts.policy.device.type])
        self._failure_rate = FailureRate(state.last_failures)
        self._gap_reported = False
        self._learner = Learner(
            spec, parts.policy, parts.optimizer, parts.reference, budget=self._budget
        )
        self._collector = self._make_collector()

    def take(self, before: TrainerState) -> TrainerState:
        """Return the state after one more step.

        Raises:
            RunError: the run cannot continue.
        """
        began_at = self._clock()
        step = before.step + 1
        self._report.phase("training", step)
        batch = self._collector.collect(step)  # 1 to 4
        self._count_failures(batch, before)
        to_trainer(self._parts.engine)
        waited_from = self._clock()
        self._before_update()
        began_at += self._clock() - waited_from  # the checkpoint's time, not the step's
        diagnostics = self._diagnose(batch, step)
        step_updates = self._learn(batch, before)  # 5, 6
        with self._stopwatch.measure("sync"):
            self._sync(step)  # 7
            self._renew_reference(step)
        after = self._state_after(before, batch, step_updates)
        self._report.step(  # 8
            after,
            batch,
            step_updates,
            diagnostics={**diagnostics, **self._parts.scorer.take_metrics()},
            tokenizer=self._parts.tokenizer,
            epoch=self._sampler.epochs,
            peak_bytes=self._memory.take(),
            seconds={**self._stopwatch.take(), "step": self._clock() - began_at},
        )
        return after

    def _count_failures(self, batch: Batch, before: TrainerState) -> None:
        """
        Raises:
            RunError: `reward_failed` or `reward_unavailable`, once their share is above what the
                spec allows.
        """
        for failure in batch.failures:
            self._report.message("warning", failure.message, before.step + 1)
        counted = [failure for failure in batch.failures if not failure.timed_out]
        self._failure_rate.add(num_failed=len(counted), num_scored=batch.num_rollouts)
        most = self._spec.scoring.max_failures
        if most is not None and counted and self._failure_rate.is_above(most):
            raise too_many_failed(
                counted,
                f"{self._failure_rate.value:.1%} of the scores of the last steps failed: "
                f"{counted[-1].message}",
                hint="Correct the reward, or raise scoring.max_failures.",
            )

    def _diagnose(self, batch: Batch, step: int) -> dict[str, float]:
        every = self._spec.reporting.diagnostics_every_steps
        if every is None or step % every or not batch.groups:
            return {}
        with self._stopwatch.measure("diagnostics"):
            return self._learner.diagnose(batch.groups)

    def _learn(self, batch: Batch, before: TrainerState) -> StepUpdates:
        budget_before = self._budget.tokens
        with self._stopwatch.measure("update"):
            step_updates = self._learner.learn(
                batch.groups,
                num_updates=before.num_updates,
                num_skipped=before.num_skipped_updates,
                total_updates=self._planned_updates(batch, before),
            )
        self._warn_of_gap(step_updates, before.step + 1)
        if self._budget.tokens < budget_before:
            text = f"out of memory: reduced micro-batches to {self._budget.tokens} tokens"
            self._report.message("warning", text, before.step + 1)
        return step_updates

    def _warn_of_gap(self, step_updates: StepUpdates, step: int) -> None:
        """Warn once about logprobs that differ by more than rounding explains."""
        if self._gap_reported or not step_updates.updates:
            return
        text = large_gap(
            step_updates.logprob_gaps.mean().item(),
            entropy=step_updates.entropy,
            precision=self._parts.policy.precision,
        )
        if text is not None:
            self._report.message("warning", text, step)
            self._gap_reported = True

    def _sync(self, step: int) -> None:
        policy = self._parts.policy
        compared = weights_to_compare(policy.weight_shapes(), seed=self._spec.seed, step=step)
        to_engine(self._parts.engine, policy, compared=compared)

    def _renew_reference(self, step: int) -> None:
        every = self._spec.algorithm.kl.sync_every_steps
        if self._parts.reference is not None and every is not None and step % every == 0:
            self._parts.reference.sync(self._parts.policy)

    def _state_after(
        self, before: TrainerState, batch: Batch, step_updates: StepUpdates
    ) -> TrainerState:
        return replace(
            before,
            step=before.step + 1,
            num_updates=before.num_updates + len(step_updates.updates),
            num_skipped_updates=before.num_skipped_updates + step_updates.num_skipped,
            num_rollouts=before.num_rollouts + batch.num_rollouts,
            num_tokens=before.num_tokens + batch.num_tokens,
            num_discarded_groups=before.num_discarded_groups + len(batch.discarded),
            num_failed_rewards=before.num_failed_rewards + len(batch.failures),
            last_failures=self._failure_rate.steps,
            sampler=self._sampler.state(),
            token_budget=self._budget.tokens,
        )

    def _planned_updates(self, batch: Batch, before: TrainerState) -> int:
        """Return the planned updates of the whole run: extra groups drawn in a step reduce them."""
        algorithm = self._spec.algorithm
        num_steps = planned_steps(
            self._spec.budget,
            last_step=self._last_step,
            step=before.step + 1,
            num_rollouts=before.num_rollouts + batch.num_rollouts,
        )
        return num_steps * algorithm.minibatches * algorithm.epochs_per_batch

    def _make_collector(self) -> Collector:
        parts, kl = self._parts, self._spec.algorithm.kl
        rollouter = Rollouter(
            self._spec,
            engine=parts.engine,
            tokenizer=parts.tokenizer,
            scorer=parts.scorer,
            stopwatch=self._stopwatch,
            penalise=self._learner.penalise if kl.beta > 0 and kl.where == "reward" else None,
        )
        return Collector(
            self._spec.algorithm,
            prompts=parts.training.prompts,
            sampler=self._sampler,
            rollouter=rollouter,
            memory=parts.memory,
        )
