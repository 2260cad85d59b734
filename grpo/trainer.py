"""The trainer: steps of rollouts and updates, evaluations and checkpoints."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from transformers import PreTrainedTokenizerBase

from grpo.budget import TOKEN_BUDGET, planned_steps
from grpo.checkpoint.checkpoint import TrainerState
from grpo.data.prompt_sampler import PromptSampler
from grpo.data.prompts import Prompt, PromptSet
from grpo.errors import RunError
from grpo.evaluation.early_stopping import Verdict, judge, measured
from grpo.evaluation.held_out import EvaluationStopped, evaluate
from grpo.evaluation.metrics import as_test
from grpo.learning.learner import Learner, Learning
from grpo.learning.memory import PeakMemory, TokenBudget
from grpo.models.policy import Policy
from grpo.models.reference import Reference
from grpo.reporting.reporter import Reporter
from grpo.rewards.scorer import Scorer
from grpo.rollout.collector import Batch, Collector
from grpo.rollout.engines.engine import RolloutEngine
from grpo.rollout.rollouter import Completer
from grpo.rollout.weight_sync import to_engine, to_trainer
from grpo.runtime.stop import Stop, StopRequested
from grpo.runtime.stopwatch import Stopwatch
from grpo.seeds import derive_seed
from grpo.spec.job import JobSpec
from grpo.spending import Spending
from grpo.sync_proof import check_weights_took

Outcome = Literal["completed", "stopped"]


@dataclass(frozen=True)
class Parts:
    """What a trainer works with."""

    policy: Policy
    optimizer: torch.optim.Optimizer
    reference: Reference | None  # where kl.beta > 0
    engine: RolloutEngine
    tokenizer: PreTrainedTokenizerBase
    scorer: Scorer
    training: PromptSet
    held_out: Sequence[Prompt]  # empty: no evaluation
    tested: Sequence[Prompt] = ()  # evaluated at the end alone, and only reported


class Trainer:
    """Trains `parts.policy` from `state` on.

    `save` writes a checkpoint of a state; `final` says whether it is the run's last.  `clock`: in
    seconds, from whatever moment.
    """

    def __init__(
        self,
        spec: JobSpec,
        parts: Parts,
        *,
        state: TrainerState,
        last_step: int,
        report: Reporter,
        save: Callable[[TrainerState, bool], None],
        stop: Stop,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._spec = spec
        self._parts = parts
        self._state = state
        self._last_step = last_step
        self._report = report
        self._save = save
        self._stop = stop
        self._clock = clock
        num_gpus = 1 if parts.policy.device.type == "cuda" else 0
        self._spending = Spending(spec.budget, num_gpus=num_gpus, clock=clock)
        self._stopwatch = Stopwatch(clock)
        self._sampler = PromptSampler(parts.training.sources, derive_seed(spec.seed, "prompts"))
        if state.sampler is not None:
            self._sampler.restore(dict(state.sampler))
        self._memory = PeakMemory(parts.policy.device)
        self._budget = TokenBudget(state.token_budget or TOKEN_BUDGET[parts.policy.device.type])
        self._learner = self._make_learner()
        self._collector = self._make_collector()

    @property
    def end_reason(self) -> str | None:
        """Why the run ends before its last step; None: it does not."""
        return self._state.end_reason

    def train(self) -> Outcome:
        """Evaluate, train to the last step or until stopped, and save.

        Raises:
            RunError: the run cannot go on.
            StopRequested, EvaluationStopped: stopped before there was anything new to save.
        """
        to_engine(self._parts.engine, self._parts.policy)
        if self._state.step == 0 or self._state.evaluation_due:
            self._evaluate()
        self._end_if_spent()
        self._report.training(total_steps=self._last_step, from_step=self._state.step)
        if self._trained():
            self._checkpoint()  # continued from the very end: this attempt has one of its own
        stopping = False
        while not (self._trained() or stopping):
            self._step()
            self._end_if_spent()
            if self._is_due(self._spec.evaluation.every_steps):
                self._evaluate_or_owe()
                self._end_if_spent()  # the evaluation takes time, too
            stopping = self._stop.requested  # read once: no stop without its checkpoint
            if self._is_due(self._spec.checkpoints.every_steps) or stopping or self._is_best():
                self._checkpoint()
        return "completed" if self._at_end() else "stopped"

    def _step(self) -> None:
        """One batch of rollouts with the updates made from it."""
        began_at = self._clock()
        step = self._state.step + 1
        self._report.phase("training", step)
        batch = self._collector.collect(step)  # 1 to 4: prompts, completions, rewards, advantages
        self._count_failures(batch, step)
        to_trainer(self._parts.engine)
        diagnostics = self._diagnose(batch, step)
        learning = self._learn(batch, step)  # 5, 6: loss, backward, optimizer
        with self._stopwatch.measure("sync"):
            to_engine(self._parts.engine, self._parts.policy)  # 7
            self._renew_reference(step)
        self._state = self._state_after(batch, learning)
        self._report.step(  # 8
            self._state,
            batch,
            learning,
            diagnostics=diagnostics,
            tokenizer=self._parts.tokenizer,
            epoch=self._sampler.epochs,
            peak_bytes=self._memory.take(),
            seconds={**self._stopwatch.take(), "step": self._clock() - began_at},
        )

    def _count_failures(self, batch: Batch, step: int) -> None:
        """
        Raises:
            RunError: `reward_failed`, once there were as many as the spec allows.
        """
        for failure in batch.failures:
            self._report.message("warning", failure.message, step)
        most = self._spec.scoring.max_failures
        num_failed = self._state.num_failed_rewards + len(batch.failures)
        if most is not None and batch.failures and num_failed >= most:
            raise RunError(
                "reward_failed",
                batch.failures[-1].message,
                hint="Check that row's answer, and data.answer and data.answer_after; or let more "
                "fail: scoring.max_failures.",
            )

    def _diagnose(self, batch: Batch, step: int) -> dict[str, float]:
        every = self._spec.reporting.diagnostics_every_steps
        if every is None or step % every:
            return {}
        with self._stopwatch.measure("diagnostics"):
            return self._learner.diagnose(batch.groups)

    def _learn(self, batch: Batch, step: int) -> Learning:
        budget_before = self._budget.tokens
        with self._stopwatch.measure("update"):
            learning = self._learner.learn(
                batch.groups,
                num_updates=self._state.num_updates,
                num_skipped=self._state.num_skipped_updates,
                total_updates=self._planned_updates(batch),
            )
        check_weights_took(learning.logprob_gaps, precision=self._parts.policy.precision)
        if self._budget.tokens < budget_before:
            text = f"out of memory: micro-batches are down to {self._budget.tokens} tokens"
            self._report.message("warning", text, step)
        return learning

    def _renew_reference(self, step: int) -> None:
        every = self._spec.algorithm.kl.sync_every_steps
        if self._parts.reference is not None and every is not None and step % every == 0:
            self._parts.reference.sync(self._parts.policy)

    def _state_after(self, batch: Batch, learning: Learning) -> TrainerState:
        before = self._state
        return replace(
            before,
            step=before.step + 1,
            num_updates=before.num_updates + len(learning.updates),
            num_skipped_updates=before.num_skipped_updates + learning.num_skipped,
            num_rollouts=before.num_rollouts + batch.num_rollouts,
            num_tokens=before.num_tokens + batch.num_tokens,
            num_discarded_groups=before.num_discarded_groups + len(batch.discarded),
            num_failed_rewards=before.num_failed_rewards + len(batch.failures),
            sampler=self._sampler.state(),
            token_budget=self._budget.tokens,
        )

    def _is_due(self, every_steps: int) -> bool:
        return self._trained() or self._state.step % every_steps == 0

    def _is_best(self) -> bool:
        """Whether this step's evaluation is the best so far, where that is to be saved."""
        best = self._state.best
        return self._spec.checkpoints.best and best is not None and best.step == self._state.step

    def _evaluate(self) -> None:
        """Held-out accuracy.  It is no step's work, so a stop ends it at once."""
        if not self._parts.held_out:
            return
        step = self._state.step
        self._report.phase("evaluating", step)
        results = self._measure(self._parts.held_out)
        value = measured(results, self._spec.evaluation)
        verdict = judge(self._state.best, step=step, value=value, evaluation=self._spec.evaluation)
        is_last = self._trained() or verdict.stop_reason is not None
        if is_last and self._parts.tested:
            results |= as_test(self._measure(self._parts.tested))
        self._report.evaluation(results, step, seconds=self._stopwatch.take()["eval"])
        self._heed(verdict)

    def _measure(self, prompts: Sequence[Prompt]) -> dict[str, float]:
        with self._stop.at_once(), self._stopwatch.measure("eval"):
            return evaluate(
                self._parts.engine,
                self._parts.tokenizer,
                prompts,
                self._parts.scorer,
                rewards=self._spec.rewards,
                evaluation=self._spec.evaluation,
                rollout=self._spec.rollout,
                seed=self._spec.seed,
                stop=lambda: self._stop.requested,
            )

    def _heed(self, verdict: Verdict) -> None:
        """The evaluation may be the best so far, and may end training."""
        self._state = replace(self._state, evaluation_due=False, best=verdict.best)
        if verdict.stop_reason is not None:
            self._end_early(verdict.stop_reason)

    def _end_if_spent(self) -> None:
        self._state = self._spending.count(self._state)
        if (reason := self._spending.spent(self._state)) is not None:
            self._end_early(reason)

    def _end_early(self, reason: str) -> None:
        """The first reason is the one that counts."""
        if self._state.end_reason is None:
            self._report.message("info", reason, self._state.step)
            self._state = replace(self._state, end_reason=reason)

    def _evaluate_or_owe(self) -> None:
        """Evaluate; or, stopped, leave it to the attempt that continues."""
        try:
            self._evaluate()
        except (EvaluationStopped, StopRequested):
            self._state = replace(self._state, evaluation_due=True)

    def _checkpoint(self) -> None:
        self._report.phase("saving", self._state.step)
        with self._stopwatch.measure("checkpoint"):
            self._save(self._state, self._at_end())

    def _trained(self) -> bool:
        return self._state.step >= self._last_step or self._state.end_reason is not None

    def _at_end(self) -> bool:
        return self._trained() and not self._state.evaluation_due

    def _planned_updates(self, batch: Batch) -> int:
        """Of the whole run: a step that draws more than its first groups leaves fewer steps."""
        algorithm = self._spec.algorithm
        num_steps = planned_steps(
            self._spec.budget,
            last_step=self._last_step,
            step=self._state.step + 1,
            num_rollouts=self._state.num_rollouts + batch.num_rollouts,
        )
        return num_steps * algorithm.minibatches * algorithm.epochs_per_batch

    def _make_learner(self) -> Learner:
        return Learner(
            self._spec,
            self._parts.policy,
            self._parts.optimizer,
            self._parts.reference,
            budget=self._budget,
        )

    def _make_collector(self) -> Collector:
        parts, kl = self._parts, self._spec.algorithm.kl
        completer = Completer(
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
            completer=completer,
        )
