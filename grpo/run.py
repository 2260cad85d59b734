"""One attempt at a job: from a spec and a folder to a run directory and an exit code."""

import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from grpo.assembly import Assembly, assemble, precision
from grpo.budget import total_steps
from grpo.checkpoint.background_writer import Save
from grpo.checkpoint.checkpoint import (
    MEMORY,
    OPTIMIZER,
    REFERENCE,
    TrainerState,
    read_manifest,
    read_state,
    write_checkpoint,
)
from grpo.checkpoint.environment import describe_environment, mismatches
from grpo.checkpoint.weights import write_model_folder
from grpo.evaluation.held_out import EvaluationStopped
from grpo.failure import describe_failure
from grpo.learning.optimizer import restore_optimizer
from grpo.models.dtype import SOURCE_DTYPE
from grpo.models.policy import Policy
from grpo.reporting.records import Record, Recorder
from grpo.reporting.reporter import Reporter
from grpo.reporting.run_directory import write_spec
from grpo.reporting.tensorboard import TensorBoard
from grpo.rewards.service.access import ServiceAccess
from grpo.rewards.service.kept_scores import FILE as SCORES
from grpo.rewards.service.kept_scores import KeptScores, write_scores
from grpo.rewards.service.parts import service_parts
from grpo.runtime.gpu import require_gpu
from grpo.runtime.stop import Stop, StopRequested
from grpo.spec.job import JobSpec
from grpo.trainer import Outcome, Trainer


@dataclass(frozen=True)
class _Resumption:
    """The checkpoint that a run resumes from."""

    folder: Path
    state: TrainerState
    environment: Mapping[str, Any]


def run(
    spec: JobSpec,
    folder: Path,
    *,
    resume_from: Path | None = None,
    stop: Stop,
    listeners: Sequence[Callable[[Record], None]] = (),
    allow_python: bool = False,
    hub_owners: Collection[str] | None = None,
    access: ServiceAccess | None = None,
    earlier: Sequence[Path] = (),
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """Train, record the run in a prepared run directory, and return the process's exit code.  The
    directory's `spec.json` becomes the spec as run, with the precision resolved for the device.

    `allow_python`: the spec's rewards may run Python code, in a sandbox.  `hub_owners`: as
    `assemble` takes it.  `access`: of rewards to services; None: any address, and no secret.
    `earlier`: folders of earlier attempts, whose scores of services are used.
    """
    if spec.reporting.tensorboard:
        listeners = [*listeners, TensorBoard(folder / "tensorboard")]
    kept = KeptScores(folder / SCORES) if service_parts(spec.rewards) else None
    if kept is not None:
        kept.add_from(each / SCORES for each in (resume_from, *earlier) if each is not None)
    load = partial(
        assemble, allow_python=allow_python, hub_owners=hub_owners, access=access, kept=kept
    )
    recorder = Recorder(
        folder / "records.jsonl", now=lambda: datetime.now(UTC), listeners=listeners
    )
    # The stack is closed after the end is recorded: CUDA can abort a process whose engine is
    # closed without memory to wake in, and the run's outcome must be recorded before.
    with closing(recorder), ExitStack() as closed_last:
        if kept is not None:
            closed_last.enter_context(closing(kept))
        attempt = partial(
            _attempt, spec, folder, recorder, resume_from, stop, clock, load, kept, closed_last
        )
        end = _end(attempt)
        recorder.append("end", end)
    return 1 if end["outcome"] == "failed" else 0


def _end(attempt: Callable[[], tuple[Outcome, str | None]]) -> dict[str, Any]:
    """Return the end record's payload: the outcome, and `reason` where it completed early.

    Every exception is turned into a record here.
    """
    try:
        outcome, reason = attempt()
    except (StopRequested, EvaluationStopped):
        outcome, reason = "stopped", None
    except Exception as error:  # noqa: BLE001
        failure = describe_failure(error)
        sys.stderr.write(failure["traceback"])
        return {"outcome": "failed", "error": failure}
    early = {} if reason is None else {"reason": reason}
    return {"outcome": outcome, "error": None, **early}


def _attempt(
    spec: JobSpec,
    folder: Path,
    recorder: Recorder,
    resume_from: Path | None,
    stop: Stop,
    clock: Callable[[], float],
    load: Callable[..., Assembly],
    kept: KeptScores | None,
    closed_last: ExitStack,
) -> tuple[Outcome, str | None]:
    """Train, and return the outcome and the reason of an early end.  Resources to close are added
    to `closed_last`."""
    spec = spec.with_precision(precision(spec))  # resolves settings that depend on the device
    write_spec(folder, spec)
    report = Reporter(recorder, folder, spec)
    resumption = None
    if resume_from is not None:
        # Always the first record: followers then drop the later steps.
        resumption = _read_resumption(resume_from)
        report.resumed(resumption.state.step)
    state = resumption.state if resumption else TrainerState()
    if spec.resources.gpus == 1:
        require_gpu()
    with stop.at_once():
        assembly = load(
            spec,
            model_folder=resumption.folder if resumption else None,
            phase=lambda phase: report.phase(phase, state.step),
        )
    stop.listen()  # an engine may have installed its own handlers
    parts = assembly.parts
    for part in (parts.engine, parts.scorer):
        closed_last.enter_context(closing(part))
    environment = describe_environment(parts.policy, parts.engine)
    if resumption:
        _restore(assembly, resumption, environment, report)
        _warn_rounding(spec, parts.policy, report, state.step)
    for warning in assembly.warnings:
        report.message("warning", warning, state.step)
    trainer = Trainer(
        spec,
        parts,
        state=state,
        last_step=total_steps(spec, len(parts.training.prompts)),
        report=report,
        save=_saver(spec, folder, assembly, environment, report, kept),
        stop=stop,
        clock=clock,
    )
    return trainer.train(), trainer.end_reason


def _read_resumption(folder: Path) -> _Resumption:
    manifest = read_manifest(folder)
    return _Resumption(folder, read_state(folder), manifest["environment"])


def _restore(
    assembly: Assembly, resumption: _Resumption, environment: Mapping[str, Any], report: Reporter
) -> None:
    parts = assembly.parts
    tensors = load_file(resumption.folder / OPTIMIZER)
    restore_optimizer(parts.optimizer, parts.policy.model, tensors)
    if (resumption.folder / REFERENCE).exists():
        assert parts.reference is not None  # the same spec wrote the checkpoint
        parts.reference.restore(load_file(resumption.folder / REFERENCE))
    if parts.memory is not None:
        parts.memory.restore(load_file(resumption.folder / MEMORY))
    differences = mismatches(resumption.environment, environment)
    if differences:
        text = f"the continuation may not be bit-exact: {'; '.join(differences)}"
        report.message("warning", text, resumption.state.step)


def _warn_rounding(spec: JobSpec, policy: Policy, report: Reporter, step: int) -> None:
    """Warn about rounded weights; adapters and float32 sources are saved without rounding."""
    dtype = getattr(policy.model.config, SOURCE_DTYPE, "float32")
    if spec.checkpoints.dtype == "source" and policy.adapter is None and dtype != "float32":
        text = f"the continuation is not bit-exact: checkpoints.dtype: source saved {dtype} weights"
        report.message("warning", text, step)


def _saver(
    spec: JobSpec,
    folder: Path,
    assembly: Assembly,
    environment: Mapping[str, Any],
    report: Reporter,
    kept: KeptScores | None,
) -> Save:
    def save(state: TrainerState, final: bool) -> Callable[[], None]:
        parts = assembly.parts
        scores = None if kept is None else kept.snapshot()
        memory = None if parts.memory is None else parts.memory.tensors()

        def write_files(unfinished: Path) -> None:
            write_model_folder(unfinished, parts, spec)
            if memory is not None:
                save_file(memory, unfinished / MEMORY)
            if scores is not None:
                write_scores(unfinished / SCORES, scores)

        def write() -> None:
            path = write_checkpoint(
                folder / "checkpoints",
                state=state,
                environment=environment,
                created_at=datetime.now(UTC),
                write_files=write_files,
            )
            report.checkpoint(path, state.step, final=final)

        return write

    return save
