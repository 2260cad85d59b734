"""The trainer's reports, written as records."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from transformers import PreTrainedTokenizerBase

from grpo.checkpoint.checkpoint import TrainerState
from grpo.learning.learner import StepUpdates
from grpo.reporting.records import Recorder, write_rollouts
from grpo.reporting.samples import TokenLogprobs, pick_samples, rollout_rows, sample_payload
from grpo.reporting.step_metrics import (
    batch_metrics,
    group_metrics,
    learning_metrics,
    speed_metrics,
)
from grpo.rollout.collector import Batch
from grpo.rollout.groups import Group, as_first_drawn
from grpo.seeds import derive_seed
from grpo.spec.job import JobSpec

Phase = Literal["loading", "starting_engine", "training", "evaluating", "saving"]


class Reporter:
    """Writes the records and rollouts of one attempt."""

    def __init__(self, recorder: Recorder, folder: Path, spec: JobSpec) -> None:
        self._recorder = recorder
        self._folder = folder
        self._spec = spec
        self._phase: Phase | None = None

    def phase(self, phase: Phase, step: int) -> None:
        """Record the run's phase, when it changes."""
        if phase != self._phase:
            self._recorder.append("phase", {"phase": phase}, step=step)
        self._phase = phase

    def training(self, *, total_steps: int, from_step: int) -> None:
        """Record the start of training, with the total number of steps."""
        payload = {"phase": "training", "total_steps": total_steps, "from_step": from_step}
        self._recorder.append("phase", payload, step=from_step)
        self._phase = "training"

    def step(
        self,
        state: TrainerState,
        batch: Batch,
        step_updates: StepUpdates,
        *,
        diagnostics: Mapping[str, float],
        tokenizer: PreTrainedTokenizerBase,
        epoch: float,
        peak_bytes: int,
        seconds: Mapping[str, float],
    ) -> None:
        """Record one step: its rollouts in a file, its metrics and a few groups as records.

        `seconds`: by phase; the phase `step` is the whole step.
        """
        algorithm = self._spec.algorithm
        drawn = [*batch.groups, *batch.discarded]
        first = as_first_drawn(
            drawn,
            group_size=algorithm.group_size,
            advantage=algorithm.advantage,
        )
        rows = rollout_rows(batch.groups, discarded=batch.discarded, step=state.step)
        write_rollouts(self._folder / "rollouts", step=state.step, rows=rows)
        metrics = {
            **group_metrics(first, group_size=algorithm.group_size),
            **batch_metrics(batch, algorithm),
            **learning_metrics(step_updates, algorithm),
            **diagnostics,
            "epoch": epoch,
            "num_rollouts": state.num_rollouts,
            "num_tokens": state.num_tokens,
            "num_updates": state.num_updates,
            "num_skipped_updates": state.num_skipped_updates,
            "memory/peak_bytes": peak_bytes,
            **speed_metrics(drawn, step_updates, seconds),
        }
        self._recorder.append("metric", metrics, step=state.step)
        self._samples(drawn, step_updates, state.step, tokenizer)

    def _samples(
        self,
        groups: Sequence[Group],
        step_updates: StepUpdates,
        step: int,
        tokenizer: PreTrainedTokenizerBase,
    ) -> None:
        wanted = self._spec.reporting
        picked = pick_samples(
            groups,
            count=wanted.samples_per_step,
            seed=derive_seed(self._spec.seed, "samples", step),
        )
        for group in picked:
            token_logprobs = None
            if wanted.token_logprobs:
                policy_logprobs = step_updates.policy_logprobs_of(group)
                token_logprobs = TokenLogprobs(tokenizer, policy_logprobs)
            payload = sample_payload(group, token_logprobs=token_logprobs)
            self._recorder.append("sample", payload, step=step)

    def evaluation(self, results: Mapping[str, float], step: int, *, seconds: float) -> None:
        self._recorder.append("eval", {**results, "seconds/eval": seconds}, step=step)

    def checkpoint(self, path: Path, step: int, *, final: bool) -> None:
        relative = path.relative_to(self._folder).as_posix()
        self._recorder.append("checkpoint", {"path": relative, "final": final}, step=step)

    def resumed(self, from_step: int) -> None:
        self._recorder.append("resumed", {"from_step": from_step}, step=from_step)

    def message(self, level: Literal["info", "warning", "error"], text: str, step: int) -> None:
        self._recorder.append("message", {"level": level, "text": text}, step=step)
