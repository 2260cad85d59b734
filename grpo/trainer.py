"""The trainer: steps of rollouts and updates, evaluations and checkpoints."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from grpo.budget import RunClock, what_is_spent
from grpo.checkpoint.background_writer import BackgroundWriter, Save
from grpo.checkpoint.checkpoint import TrainerState
from grpo.data.prompts import Prompt
from grpo.evaluation.early_stopping import judge, measured
from grpo.evaluation.held_out import EvaluationStopped, evaluate
from grpo.evaluation.metrics import as_test
from grpo.parts import Parts
from grpo.reporting.reporter import Reporter
from grpo.rollout.weight_sync import to_engine
from grpo.runtime.stop import Stop, StopRequested
from grpo.runtime.stopwatch import Stopwatch
from grpo.spec.job import JobSpec
from grpo.step import TrainingStep

Outcome = Literal["completed", "stopped"]


class Trainer:
    """Trains `parts.policy`, starting from `state`; `clock`: monotonic seconds."""

    def __init__(
        self,
        spec: JobSpec,
        parts: Parts,
        *,
        state: TrainerState,
        last_step: int,
        report: Reporter,
        save: Save,
        stop: Stop,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._spec = spec
        self._parts = parts
        self._state = state
        self._last_step = last_step
        self._report = report
        self._stop = stop
        self._clock = clock
        self._run_clock = RunClock(num_gpus=parts.policy.device.type == "cuda", clock=clock)
        self._stopwatch = Stopwatch(clock)
        self._writer = BackgroundWriter(save, clock=clock, stopwatch=self._stopwatch)
        self._training_step = TrainingStep(
            spec,
            parts,
            state=state,
            last_step=last_step,
            report=report,
            clock=clock,
            stopwatch=self._stopwatch,
            before_update=self._writer.finish,
        )

    @property
    def end_reason(self) -> str | None:
        """The reason why the run ends before its last step, if it does."""
        return self._state.end_reason

    def train(self) -> Outcome:
        """Evaluate, train to the last step or until stopped, and save.

        A checkpoint is written while the next step's completions are drawn; the next update and
        the end of the run wait for it.

        Raises:
            RunError: the run cannot continue.
            StopRequested, EvaluationStopped: stopped before there was progress to save.
        """
        with self._writer.finishing():
            self._train()
        return "completed" if self._at_end() else "stopped"

    def _train(self) -> None:
        to_engine(self._parts.engine, self._parts.policy)
        if self._state.step == 0 or self._state.evaluation_due:
            self._evaluate()
        self._end_if_spent()
        self._report.training(total_steps=self._last_step, from_step=self._state.step)
        if self._trained():
            self._checkpoint()  # resumed after the last step: save a checkpoint of this attempt
        stopping = False
        while not (self._trained() or stopping):
            self._state = self._training_step.take(self._state)
            self._end_if_spent()
            if self._is_due(self._spec.evaluation.every_steps):
                self._evaluate_or_postpone()
                self._end_if_spent()  # the evaluation uses up time, too
            stopping = self._stop.requested  # read once: no stop without its checkpoint
            if self._is_due(self._spec.checkpoints.every_steps) or stopping or self._is_best():
                self._checkpoint()

    def _is_due(self, every_steps: int) -> bool:
        return self._trained() or self._state.step % every_steps == 0

    def _is_best(self) -> bool:
        """Whether this step's evaluation is the best so far and the spec saves new bests."""
        best = self._state.best
        return self._spec.checkpoints.best and best is not None and best.step == self._state.step

    def _evaluate(self) -> None:
        """Measure held-out accuracy; a stop interrupts it, since no step's work is lost."""
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
        self._state = replace(self._state, evaluation_due=False, best=verdict.best)
        if verdict.stop_reason is not None:
            self._end_early(verdict.stop_reason)

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

    def _end_if_spent(self) -> None:
        seconds, gpu_seconds = self._run_clock.lap()
        state = self._state = replace(
            self._state,
            training_seconds=self._state.training_seconds + seconds,
            gpu_seconds=self._state.gpu_seconds + gpu_seconds,
        )
        reason = what_is_spent(
            self._spec.budget,
            num_rollouts=state.num_rollouts,
            training_seconds=state.training_seconds,
            gpu_seconds=state.gpu_seconds,
        )
        if reason is not None:
            self._end_early(reason)

    def _end_early(self, reason: str) -> None:
        if self._state.end_reason is None:
            self._report.message("info", reason, self._state.step)
            self._state = replace(self._state, end_reason=reason)

    def _evaluate_or_postpone(self) -> None:
        """Evaluate; if stopped, leave the evaluation to the next attempt."""
        try:
            self._evaluate()
        except (EvaluationStopped, StopRequested):
            self._state = replace(self._state, evaluation_due=True)

    def _checkpoint(self) -> None:
        self._report.phase("saving", self._state.step)
        self._writer.begin(self._state, final=self._at_end())

    def _trained(self) -> bool:
        return self._state.step >= self._last_step or self._state.end_reason is not None

    def _at_end(self) -> bool:
        return self._trained() and not self._state.evaluation_due
