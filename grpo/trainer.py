"""The trainer: steps of rollouts and updates, evaluations and checkpoints."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from transformers import PreTrainedTokenizerBase

from grpo.checkpoint import TrainerState
from grpo.data.prompts import Prompt
from grpo.data.sampler import PromptSampler
from grpo.engines.engine import Completion, Request, RolloutEngine, Sampling
from grpo.evaluation import EvaluationStopped, evaluate
from grpo.groups import Group, Rollout, compare
from grpo.learning import Learning, learn
from grpo.policy import Policy
from grpo.reporter import Reporter
from grpo.scoring import is_right, score
from grpo.seeds import derive_seed
from grpo.spec.job import JobSpec
from grpo.stopping import Stop, StopRequested
from grpo.stopwatch import Stopwatch
from grpo.sync_proof import check_weights_took

Outcome = Literal["completed", "stopped"]


@dataclass(frozen=True)
class Parts:
    """What a trainer works with."""

    policy: Policy
    optimizer: torch.optim.Optimizer
    engine: RolloutEngine
    tokenizer: PreTrainedTokenizerBase
    prompts: Sequence[Prompt]
    held_out: Sequence[Prompt]  # empty: no evaluation


class Trainer:
    """Trains `parts.policy` from `state` on.

    `save` writes a checkpoint of a state; the boolean says whether it is the run's last.
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
    ) -> None:
        self._spec = spec
        self._parts = parts
        self._state = state
        self._last_step = last_step
        self._report = report
        self._save = save
        self._stop = stop
        self._stopwatch = Stopwatch(time.perf_counter)
        self._sampler = PromptSampler(len(parts.prompts), derive_seed(spec.seed, "prompts"))
        if state.sampler is not None:
            self._sampler.restore(dict(state.sampler))

    def train(self) -> Outcome:
        """Evaluate, train to the last step or until stopped, and save.

        Raises:
            RunError: the run cannot go on.
            StopRequested, EvaluationStopped: stopped before there was anything new to save.
        """
        self._give_engine_the_weights()
        if self._state.step == 0 or self._state.evaluation_due:
            self._evaluate()
        self._report.training(total_steps=self._last_step, from_step=self._state.step)
        if self._state.step >= self._last_step:
            self._checkpoint()  # continued from the very end: this attempt has one of its own
        stopping = False
        while self._state.step < self._last_step and not stopping:
            self._step()
            if self._is_due(self._spec.evaluation.every_steps):
                self._evaluate_or_owe()
            stopping = self._stop.requested  # read once: no stop without its checkpoint
            if self._is_due(self._spec.checkpoints.every_steps) or stopping:
                self._checkpoint()
        return "completed" if self._at_end() else "stopped"

    def _step(self) -> None:
        """One batch of rollouts with the updates made from it."""
        began_at = time.perf_counter()
        step = self._state.step + 1
        self._report.phase("training", step)
        prompts = self._draw_prompts()  # 1
        completions = self._roll_out(prompts, step=step)  # 2
        rollouts = self._score(prompts, completions)  # 3
        groups = compare(  # 4
            rollouts,
            group_size=self._spec.algorithm.group_size,
            advantage=self._spec.algorithm.advantage,
        )
        learning = self._learn(groups)  # 5, 6
        with self._stopwatch.measure("sync"):
            self._give_engine_the_weights()  # 7
        self._state = self._state_after(groups, learning)
        self._report.step(  # 8
            self._state,
            groups,
            learning,
            epoch=self._sampler.epochs,
            seconds={**self._stopwatch.take(), "step": time.perf_counter() - began_at},
        )

    def _draw_prompts(self) -> list[Prompt]:
        indices = self._sampler.take(self._spec.algorithm.prompts_per_step)
        return [self._parts.prompts[index] for index in indices]

    def _roll_out(self, prompts: Sequence[Prompt], *, step: int) -> list[Completion]:
        """`group_size` completions of each prompt, side by side."""
        rollout = self._spec.rollout
        sampling = Sampling(rollout.temperature, rollout.top_p, 0, rollout.max_tokens)
        requests: list[Request] = []
        draws: dict[int, int] = {}  # a small data set can give one prompt twice in a step
        for prompt in prompts:
            draw = draws[prompt.index] = draws.get(prompt.index, -1) + 1
            requests += [
                Request(
                    prompt.token_ids,
                    derive_seed(self._spec.seed, "rollout", step, draw, prompt.index, sibling),
                )
                for sibling in range(self._spec.algorithm.group_size)
            ]
        with self._stopwatch.measure("rollout"):
            return self._parts.engine.generate(requests, sampling)

    def _score(self, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[Rollout]:
        group_size, rewards = self._spec.algorithm.group_size, self._spec.rewards
        rollouts: list[Rollout] = []
        with self._stopwatch.measure("reward"):
            for place, completion in enumerate(completions):
                group, sibling = divmod(place, group_size)
                text = self._text(completion)
                scored = score(rewards, text=text, prompt=prompts[group])
                right = is_right(rewards, scored)
                rollouts.append(Rollout(prompts[group], sibling, completion, text, scored, right))
        return rollouts

    def _text(self, completion: Completion) -> str:
        ids = list(completion.token_ids)
        return str(self._parts.tokenizer.decode(ids, skip_special_tokens=True))

    def _learn(self, groups: Sequence[Group]) -> Learning:
        parts = self._parts
        parts.engine.sleep()
        with self._stopwatch.measure("update"):
            learning = learn(
                parts.policy,
                parts.optimizer,
                groups,
                spec=self._spec,
                num_updates=self._state.num_updates,
            )
        check_weights_took(learning.logprob_gaps, precision=parts.policy.precision)
        parts.engine.wake()
        return learning

    def _give_engine_the_weights(self) -> None:
        self._parts.engine.load_weights(self._parts.policy.weights())

    def _state_after(self, groups: Sequence[Group], learning: Learning) -> TrainerState:
        before = self._state
        rollouts = [rollout for group in groups for rollout in group.rollouts]
        num_tokens = sum(
            len(rollout.prompt.token_ids) + len(rollout.completion.token_ids)
            for rollout in rollouts
        )
        return TrainerState(
            step=before.step + 1,
            num_updates=before.num_updates + len(learning.updates),
            num_skipped_updates=before.num_skipped_updates + learning.num_skipped,
            num_rollouts=before.num_rollouts + len(rollouts),
            num_tokens=before.num_tokens + num_tokens,
            sampler=self._sampler.state(),
        )

    def _is_due(self, every_steps: int) -> bool:
        return self._state.step == self._last_step or self._state.step % every_steps == 0

    def _evaluate(self) -> None:
        """Held-out accuracy.  It is no step's work, so a stop ends it at once."""
        if not self._parts.held_out:
            return
        self._report.phase("evaluating", self._state.step)
        with self._stop.at_once(), self._stopwatch.measure("eval"):
            results = evaluate(
                self._parts.engine,
                self._parts.tokenizer,
                self._parts.held_out,
                self._spec.rewards,
                evaluation=self._spec.evaluation,
                max_tokens=self._spec.rollout.max_tokens,
                seed=self._spec.seed,
                stop=lambda: self._stop.requested,
            )
        self._report.evaluation(results, self._state.step, seconds=self._stopwatch.take()["eval"])
        self._state = replace(self._state, evaluation_due=False)

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

    def _at_end(self) -> bool:
        return self._state.step == self._last_step and not self._state.evaluation_due
