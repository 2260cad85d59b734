"""One attempt at a job, from its claim to its end."""

from contextlib import AbstractContextManager

import structlog
from opentelemetry.trace import Span
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from grpo.errors import RunError
from store.errors import LeaseLost
from store.ids import encode
from store.jobs import leases
from store.jobs.claim import Claim
from store.jobs.outcomes import Completed, ExitInfo, Failed, Stopped
from store.states import Status
from store.telemetry.tracing import ending, fail, trace_id, traceparent
from worker.attempt.lease_keeper import LeaseKeeper
from worker.attempt.outcome import Ending, failed_by, outcome_of
from worker.attempt.preparation import Preparation, Prepared
from worker.attempt.span import begun_span
from worker.attempt.sync_loop import SyncLoop
from worker.attempt.trainer_process import TrainerProcess, log_tail
from worker.attempt.uploads import Uploads, remove_checkpoints
from worker.context import WorkerContext
from worker.machine.disk import has_room
from worker.slots import Slot

Outcome = Completed | Stopped | Failed


class Supervisor:
    """Prepares and starts the trainer, supervises it, and reports its end.

    Everything runs in the thread that calls `run`: see TrainerProcess.
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
            job=job, attempt=claim.attempt, trace_id=trace_id(traceparent(self._span))
        )
        self._lease = LeaseKeeper(context, claim, claimed_at=claimed_at)

    def run(self) -> None:
        """Run the attempt to its end; errors are recorded in the job or in the log."""
        self._log.info("attempt_started")
        try:
            with ending(self._span):
                self._run()
        except LeaseLost:
            self._log.warning("lease_lost")
        except OperationalError:
            self._log.exception("attempt_left_to_the_reaper")
        finally:
            remove_checkpoints(self._folder)

    def _part(self, name: str) -> AbstractContextManager[Span]:
        return ending(self._context.tracing.begin_part(self._span, name))

    def _run(self) -> None:
        exit_code = None
        try:
            outcome, exit_code = self._train()
        except (LeaseLost, OperationalError):
            raise
        except Exception as error:  # noqa: BLE001 - recorded in the job and in the log
            if not isinstance(error, RunError):
                self._log.exception("attempt_broke")
            outcome = failed_by(error)
        if isinstance(outcome, Failed):
            self._learn(outcome)
        exit_info = self._exit_info(exit_code)
        with self._part("job.finish"):
            status = self._lease.until_answered(
                lambda session: self._finish(session, outcome, exit_info)
            )
        self._log.info("attempt_ended", outcome=type(outcome).__name__, status=status)
        self._span.set_attribute("duet.outcome", type(outcome).__name__)
        self._span.set_attribute("duet.job.status", status)
        if isinstance(outcome, Failed):
            fail(self._span, outcome.error["code"])

    def _learn(self, failure: Failed) -> None:
        """Record problems that also prevent this worker from running other jobs."""
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
        """Return the attempt's outcome and the trainer's exit; None: it was not started."""
        with self._part("job.prepare"):
            prepared = Preparation(
                self._context, self._claim, self._slot, self._lease, folder=self._folder
            ).run()
        if prepared is None:
            return Stopped(), None
        with self._part("job.train") as span:
            return self._supervise(prepared, traceparent(span))

    def _supervise(self, prepared: Prepared, parent: str) -> tuple[Outcome, int]:
        """Run the prepared trainer; return the attempt's outcome and the trainer's exit."""
        environment = {**prepared.environment, "TRACEPARENT": parent}
        log = self._folder / "log.txt"
        trainer = TrainerProcess(prepared.command, log=log, environment=environment)
        uploads = Uploads(self._context.artifacts, folder=self._folder, key=self._key)
        try:
            trainer.extend_life(self._lease.deadline)
            return self._outcome(trainer, uploads), trainer.exit_code
        finally:
            trainer.close()
            uploads.close()

    def _outcome(self, trainer: TrainerProcess, uploads: Uploads) -> Outcome:
        """Supervise the trainer until it has ended; return the attempt's outcome."""
        loop = SyncLoop(
            self._context,
            self._claim,
            self._lease,
            trainer=trainer,
            uploads=uploads,
            folder=self._folder,
            log=self._log,
        )
        said = loop.run()
        if self._context.hurrying.is_set() and uploads.saving:
            return Stopped()  # the next attempt redoes what was not waited for
        return outcome_of(
            Ending(
                said,
                trainer.exit_code,
                ended_by_us=trainer.asked_to_end or loop.cut_off,
                stalled=loop.stalled,
                disk_full=not has_room(self._folder),
                log_tail=log_tail(self._folder / "log.txt"),
            )
        )

    def _exit_info(self, exit_code: int | None) -> ExitInfo:
        code = exit_code if exit_code is not None and exit_code >= 0 else None
        signal = -exit_code if exit_code is not None and exit_code < 0 else None
        return ExitInfo(code=code, signal=signal, log_tail=log_tail(self._folder / "log.txt"))
