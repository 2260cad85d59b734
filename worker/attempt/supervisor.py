"""One attempt at a job, from its claim to its end."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from grpo.errors import RunError
from store.database.troubles import POSTGRES_AWAY
from store.errors import LeaseLost
from store.ids import encode
from store.jobs import leases
from store.jobs.claim import Claim
from store.jobs.outcomes import Completed, ExitInfo, Failed, Stopped
from store.security.allowed_sources import AllowedSources
from store.states import Status, Wanted
from store.telemetry.trace import Trace
from worker.attempt.downloads import Fetching, Stored
from worker.attempt.hub_access import hub_token, with_token
from worker.attempt.inputs import Inputs, inputs_of, with_gpus
from worker.attempt.outcome import Ending, failed_by, outcome_of
from worker.attempt.pace import Pace
from worker.attempt.record_tail import RecordTail
from worker.attempt.shipper import RecordShipper
from worker.attempt.span import begun_span
from worker.attempt.trainer_process import TrainerProcess, log_tail
from worker.attempt.uploads import INPUTS, Uploads, remove_checkpoints
from worker.attempt.watchdog import Watchdog
from worker.context import WorkerContext
from worker.machine.disk import has_room
from worker.orphans import end_orphans
from worker.slots import Slot

Outcome = Completed | Stopped | Failed
Answer = TypeVar("Answer")

LIFE_FRACTION = 0.75
"""The trainer's life as a fraction of the lease, counted from before the call that extended it: the
trainer has surely ended when another worker may start."""
MIRROR_SECONDS = 5
"""Interval between uploads of the log and the rollouts while they grow."""


class Supervisor:
    """Starts the trainer, ships its records, passes on the user's requests, reports how it ended.

    All in the thread that calls `run`: see TrainerProcess.
    """

    def __init__(
        self, context: WorkerContext, claim: Claim, slot: Slot, *, claimed_at: float
    ) -> None:
        """`claimed_at`: time.monotonic() before the claim."""
        job = encode("job", claim.job_id)
        self._context = context
        self._settings = context.settings
        self._claim = claim
        self._slot = slot
        self._folder = context.settings.runs_dir.resolve() / job / f"attempt-{claim.attempt:04d}"
        self._key = f"jobs/{job}/attempt-{claim.attempt}"
        self._span = begun_span(context, claim, claimed_at=claimed_at)
        self._log = structlog.get_logger().bind(
            job=job, attempt=claim.attempt, trace_id=self._span.trace.trace_id
        )
        self._deadline = claimed_at + LIFE_FRACTION * context.settings.lease_seconds
        self._wanted = claim.wanted
        self._mirrored_at = claimed_at
        self._cut_off = False
        self._pace = Pace()
        self._stalled: str | None = None

    def run(self) -> None:
        """Run the attempt to its end; errors are recorded in the job or in the log."""
        self._log.info("attempt_started")
        try:
            with self._span:
                self._run()
        except LeaseLost:
            self._log.warning("lease_lost")
        except OperationalError:
            self._log.exception("attempt_left_to_the_reaper")
        finally:
            remove_checkpoints(self._folder)

    def _run(self) -> None:
        exit_code = None
        try:
            outcome, exit_code = self._train()
        except (LeaseLost, OperationalError):
            raise
        except Exception as error:  # noqa: BLE001 - it is kept in the job and in the log
            if not isinstance(error, RunError):
                self._log.exception("attempt_broke")
            outcome = failed_by(error)
        if isinstance(outcome, Failed):
            self._learn(outcome)
        exit_info = self._exit_info(exit_code)
        with self._span.begin("job.finish"):
            status = self._until_answered(lambda session: self._finish(session, outcome, exit_info))
        self._log.info("attempt_ended", outcome=type(outcome).__name__, status=status)
        self._span.tell({"duet.outcome": type(outcome).__name__, "duet.job.status": status})
        if isinstance(outcome, Failed):
            self._span.fail(outcome.error["code"])

    def _learn(self, failure: Failed) -> None:
        """Note what keeps this worker from running other jobs as well."""
        match failure.error["code"]:
            case "disk_full":
                self._context.writes.note_full()
            case "gpu_unavailable":
                self._log.error("gpu_unavailable", why=failure.error["message"])
                self._context.retired.add(self._slot.gpus, failure.error["message"])

    def _finish(self, session: Session, outcome: Outcome, exit_info: ExitInfo) -> Status:
        job_id, attempt, resume = self._claim.job_id, self._claim.attempt, self._claim.resume
        match outcome:
            case Failed(error) if resume is not None and error["code"] == "checkpoint_damaged":
                return leases.step_over(session, job_id, attempt, resume, error, exit_info)
            case _:
                return leases.finish(
                    session,
                    job_id,
                    attempt,
                    outcome,
                    exit_info,
                    retry_seconds=self._settings.retry_seconds,
                )

    def _train(self) -> tuple[Outcome, int | None]:
        """Return how the attempt ended, and the trainer's exit code; None: it was not started."""
        with self._span.begin("job.prepare"):
            command = self._prepare()
        if command is None:
            return Stopped(), None
        with self._span.begin("job.train") as span:
            return self._supervise(command, span.trace)

    def _supervise(self, command: Sequence[str], trace: Trace) -> tuple[Outcome, int]:
        """Run the prepared trainer: how the attempt ended, and the exit code."""
        traced = {"TRACEPARENT": str(trace)}
        environment = {**self._environment(), **self._slot.environment, **traced}
        trainer = TrainerProcess(command, log=self._folder / "log.txt", environment=environment)
        uploads = Uploads(self._context.artifacts, folder=self._folder, key=self._key)
        try:
            trainer.extend_life(self._deadline)
            end = self._watch(trainer, uploads)
            if self._context.hurrying.is_set() and uploads.saving:
                return (
                    Stopped(),
                    trainer.exit_code,
                )  # the next attempt makes what was not waited for
            ended_by_us = trainer.asked_to_end or self._cut_off
            full = not has_room(self._folder)
            ending = Ending(
                end,
                trainer.exit_code,
                ended_by_us,
                self._stalled,
                disk_full=full,
                log_tail=log_tail(self._folder / "log.txt"),
            )
            return outcome_of(ending), trainer.exit_code
        finally:
            trainer.close()
            uploads.close()

    def _prepare(self) -> list[str] | None:
        """Make the attempt's folder; return the trainer's command, or None: it is not to start."""
        context, into = self._context, self._folder / INPUTS
        sources = AllowedSources.of(context.settings)

        def ready(session: Session) -> Inputs:
            end_orphans(session, host=context.host, boot_id=context.boot_id)
            return inputs_of(session, context.artifacts, self._claim, sources=sources, into=into)

        inputs = self._until_answered(ready)
        self._folder.mkdir(parents=True)
        if not self._fetch(inputs.needed, into):
            return None
        path = self._folder / "spec.json"
        path.write_text(json.dumps(with_gpus(inputs.spec, len(self._slot.gpus)), indent=1))
        command = [*context.trainer, "run", str(path), "--out", str(self._folder)]
        if inputs.resume_from is not None:
            command += ["--resume-from", inputs.resume_from]
        if sources.hub_owners is not None:
            command += ["--hub-owners", ",".join(sorted(sources.hub_owners))]
        if context.settings.allow_python_rewards:
            command.append("--allow-python-rewards")
        return command

    def _environment(self) -> Mapping[str, str]:
        """Return the trainer's environment, with its project's token of the hub as it is now.

        Raises:
            RunError: `secret_unreadable`.
        """
        context, project_id = self._context, self._claim.project_id
        given = context.environment
        token = self._until_answered(lambda session: hub_token(session, context.cipher, project_id))
        if token is None:
            return given
        return with_token(given, token, project_id=project_id, runs_dir=self._settings.runs_dir)

    def _fetch(self, needed: Sequence[Stored], into: Path) -> bool:
        """Download remote inputs and keep the lease meanwhile; False: asked to end before."""
        if not needed:
            return True
        fetching = Fetching(self._context.artifacts, needed, into=into)
        try:
            while not fetching.done(seconds=self._settings.sync_seconds):
                if not self._continues():
                    return False
        finally:
            fetching.close()
        return True

    def _continues(self) -> bool:
        """Extend the lease where there is nothing to ship: whether the attempt is to continue."""
        asked_at = time.monotonic()
        try:
            with self._context.database.session() as session:
                self._wanted = leases.sync(
                    session,
                    self._claim.job_id,
                    self._claim.attempt,
                    [],
                    self._settings.lease_seconds,
                )
        except OperationalError as error:
            self._tolerate(error)
        else:
            self._deadline = asked_at + LIFE_FRACTION * self._settings.lease_seconds
        asked_to_end = self._context.stopping.is_set() or self._context.hurrying.is_set()
        return self._wanted is Wanted.RUN and not asked_to_end

    def _watch(self, trainer: TrainerProcess, uploads: Uploads) -> dict[str, Any] | None:
        """Supervise until the trainer has ended and all its output is shipped: its last record."""
        watchdog = Watchdog(least_seconds=self._settings.stall_seconds, begun_at=time.monotonic())
        shipper = RecordShipper(
            self._context.database,
            self._claim,
            trainer,
            tail=RecordTail(self._folder / "records.jsonl"),
            uploads=uploads,
            watchdog=watchdog,
            pace=self._pace,
            lease_seconds=self._settings.lease_seconds,
        )
        while True:
            ended = not trainer.running  # before it is read: then all that it wrote is read
            answered = self._ship(shipper, trainer)
            saved = uploads.idle or self._killed(shipper) or self._context.hurrying.is_set()
            if ended and answered and saved and shipper.caught_up:
                break
            if answered and shipper.all_read and not ended:
                self._end_stalled(trainer, watchdog)
            self._steer(trainer)
            self._mirror(uploads)
            self._pause(trainer, uploads, answered=answered)
        if not self._context.hurrying.is_set():
            uploads.mirror()
        return shipper.end

    def _ship(self, shipper: RecordShipper, trainer: TrainerProcess) -> bool:
        """Ship new records: whether Postgres answered; if not, training runs to its deadline."""
        asked_at = time.monotonic()
        self._cut_off |= asked_at > self._deadline
        try:
            self._wanted = shipper.ship()
            if not self._killed(shipper):
                shipper.register_checkpoints()
        except OperationalError as error:
            self._tolerate(error)
            return False
        self._deadline = asked_at + LIFE_FRACTION * self._settings.lease_seconds
        trainer.extend_life(self._deadline)
        return True

    def _killed(self, shipper: RecordShipper) -> bool:
        """Whether nothing more is to be saved: the user killed the job before it was complete."""
        return self._wanted is Wanted.KILL and not shipper.completed

    def _end_stalled(self, trainer: TrainerProcess, watchdog: Watchdog) -> None:
        """Kill a stalled trainer; the grace period bounds one that was asked to end."""
        if not trainer.asked_to_end and (stalled := watchdog.stalled(time.monotonic())):
            self._log.warning("trainer_stalled", how=stalled)
            self._stalled = stalled
            trainer.kill()

    def _steer(self, trainer: TrainerProcess) -> None:
        if self._wanted is Wanted.KILL or self._cut_off or self._context.hurrying.is_set():
            trainer.kill()
        elif (
            self._wanted is not Wanted.RUN
            or self._context.stopping.is_set()
            or trainer.asked_to_end
        ):
            # Once asked to end, it ends even if its user has taken a pause back.
            trainer.stop(grace_seconds=self._pace.grace_seconds(self._settings.grace_seconds))

    def _mirror(self, uploads: Uploads) -> None:
        now = time.monotonic()
        if now > self._mirrored_at + MIRROR_SECONDS:
            self._mirrored_at = now
            uploads.mirror_soon()

    def _pause(self, trainer: TrainerProcess, uploads: Uploads, *, answered: bool) -> None:
        seconds = self._settings.sync_seconds
        if trainer.running:
            trainer.wait(seconds=seconds)
        elif answered:
            uploads.wait(seconds=seconds)
        else:
            time.sleep(seconds)

    def _until_answered(self, ask: Callable[[Session], Answer]) -> Answer:
        """Run one transaction, repeated while Postgres is away."""
        while True:
            try:
                with self._context.database.session() as session:
                    return ask(session)
            except OperationalError as error:
                self._tolerate(error)
            time.sleep(self._settings.sync_seconds)

    def _tolerate(self, error: OperationalError) -> None:
        """Report Postgres away; raise when the worker is to stop and no longer owns the attempt."""
        too_late = self._context.stopping.is_set() and time.monotonic() > self._deadline
        if too_late or self._context.hurrying.is_set():
            raise error
        self._context.database.troubles.tell(POSTGRES_AWAY, error)

    def _exit_info(self, exit_code: int | None) -> ExitInfo:
        code = exit_code if exit_code is not None and exit_code >= 0 else None
        signal = -exit_code if exit_code is not None and exit_code < 0 else None
        return ExitInfo(code=code, signal=signal, log_tail=log_tail(self._folder / "log.txt"))
