"""One attempt at a job, from its claim to its end."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from grpo.errors import RunError
from store.errors import LeaseLost
from store.ids import encode
from store.jobs import leases
from store.jobs.leases import Claim, Completed, ExitInfo, Failed, Stopped
from store.security.allowed_sources import AllowedSources
from store.states import Status, Wanted
from store.telemetry.trace import Trace
from store.troubles import POSTGRES_AWAY
from worker.attempt.downloads import Fetching, Stored
from worker.attempt.inputs import Inputs, inputs_of
from worker.attempt.outcome import Ending, failed_by, outcome_of
from worker.attempt.record_tail import RecordTail
from worker.attempt.shipper import Shipping
from worker.attempt.span import begun_span
from worker.attempt.trainer_process import Child, log_tail
from worker.attempt.uploads import INPUTS, Uploads, remove_checkpoints
from worker.attempt.watchdog import Watchdog
from worker.context import Post
from worker.disk import has_room
from worker.orphans import end_orphans
from worker.slots import Slot

Outcome = Completed | Stopped | Failed
Answer = TypeVar("Answer")

LIFE_FRACTION = 0.75
"""Of the lease, counted from before the call that extended it: the child is surely gone when
another worker may start."""
MIRROR_SECONDS = 5
"""Between uploads of the log and the rollouts while they grow."""


class Supervisor:
    """Starts the trainer, ships what it writes, passes on what the user wants, says how it ended.

    All in the thread that calls `run`: see Child.
    """

    def __init__(self, post: Post, claim: Claim, slot: Slot, *, claimed_at: float) -> None:
        """`claimed_at`: time.monotonic() before the claim."""
        job = encode("job", claim.job_id)
        self._post = post
        self._settings = post.settings
        self._claim = claim
        self._slot = slot
        self._folder = post.settings.runs_dir.resolve() / job / f"attempt-{claim.attempt:04d}"
        self._key = f"jobs/{job}/attempt-{claim.attempt}"
        self._span = begun_span(post, claim, claimed_at=claimed_at)
        self._log = structlog.get_logger().bind(
            job=job, attempt=claim.attempt, trace_id=self._span.trace.trace_id
        )
        self._deadline = claimed_at + LIFE_FRACTION * post.settings.lease_seconds
        self._wanted = claim.wanted
        self._mirrored_at = claimed_at
        self._cut_off = False
        self._stalled: str | None = None

    def run(self) -> None:
        """Returns when the attempt is over; whatever went wrong is in the job or in the log."""
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
        if isinstance(outcome, Failed) and outcome.error["code"] == "disk_full":
            self._post.writes.note_full()
        exit_info = self._exit_info(exit_code)
        with self._span.begin("job.finish"):
            status = self._until_answered(lambda session: self._finish(session, outcome, exit_info))
        self._log.info("attempt_ended", outcome=type(outcome).__name__, status=status)
        self._span.tell({"duet.outcome": type(outcome).__name__, "duet.job.status": status})
        if isinstance(outcome, Failed):
            self._span.fail(outcome.error["code"])

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
        """How the attempt ended, and the trainer's exit code; None: it was not started."""
        with self._span.begin("job.prepare"):
            command = self._prepare()
        if command is None:
            return Stopped(), None
        with self._span.begin("job.train") as span:
            return self._supervise(command, span.trace)

    def _supervise(self, command: Sequence[str], trace: Trace) -> tuple[Outcome, int]:
        """As `_train`, once all is ready."""
        traced = {"TRACEPARENT": str(trace)}
        environment = {**self._post.environment, **self._slot.environment, **traced}
        child = Child(command, log=self._folder / "log.txt", environment=environment)
        uploads = Uploads(self._post.artifacts, folder=self._folder, key=self._key)
        try:
            child.extend_life(self._deadline)
            end = self._watch(child, uploads)
            if self._post.hurrying.is_set() and uploads.saving:
                return Stopped(), child.exit_code  # the next attempt makes what was not waited for
            ended_by_us = child.told_to_end or self._cut_off
            full = not has_room(self._folder)
            ending = Ending(
                end,
                child.exit_code,
                ended_by_us,
                self._stalled,
                disk_full=full,
                log_tail=log_tail(self._folder / "log.txt"),
            )
            return outcome_of(ending), child.exit_code
        finally:
            child.close()
            uploads.close()

    def _prepare(self) -> list[str] | None:
        """Make the attempt's folder: the trainer's command.  None: it is not to start any more."""
        post, into = self._post, self._folder / INPUTS
        sources = AllowedSources.of(post.settings)

        def ready(session: Session) -> Inputs:
            end_orphans(session, host=post.host, boot_id=post.boot_id)
            return inputs_of(session, post.artifacts, self._claim, sources=sources, into=into)

        inputs = self._until_answered(ready)
        self._folder.mkdir(parents=True)
        if not self._fetch(inputs.needed, into):
            return None
        path = self._folder / "spec.json"
        path.write_text(json.dumps(inputs.spec, indent=1))
        command = [*post.trainer, "run", str(path), "--out", str(self._folder)]
        if inputs.resume_from is not None:
            command += ["--resume-from", inputs.resume_from]
        if sources.hub_owners is not None:
            command += ["--hub-owners", ",".join(sorted(sources.hub_owners))]
        if post.settings.allow_python_rewards:
            command.append("--allow-python-rewards")
        return command

    def _fetch(self, needed: Sequence[Stored], into: Path) -> bool:
        """Bring what lies elsewhere, and keep the lease meanwhile; False: told to end before."""
        if not needed:
            return True
        fetching = Fetching(self._post.artifacts, needed, into=into)
        try:
            while not fetching.done(seconds=self._settings.sync_seconds):
                if not self._go_on():
                    return False
        finally:
            fetching.close()
        return True

    def _go_on(self) -> bool:
        """Extend the lease where there is nothing to ship: whether the attempt is to go on."""
        asked_at = time.monotonic()
        try:
            with self._post.database.session() as session:
                self._wanted = leases.sync(
                    session,
                    self._claim.job_id,
                    self._claim.attempt,
                    [],
                    self._settings.lease_seconds,
                )
        except OperationalError as error:
            self._put_up_with(error)
        else:
            self._deadline = asked_at + LIFE_FRACTION * self._settings.lease_seconds
        told_to_end = self._post.stopping.is_set() or self._post.hurrying.is_set()
        return self._wanted is Wanted.RUN and not told_to_end

    def _watch(self, child: Child, uploads: Uploads) -> dict[str, Any] | None:
        """Until the trainer has ended and what it left has been shipped: its last record."""
        watchdog = Watchdog(least_seconds=self._settings.stall_seconds, begun_at=time.monotonic())
        shipping = Shipping(
            self._post.database,
            self._claim,
            child,
            tail=RecordTail(self._folder / "records.jsonl"),
            uploads=uploads,
            watchdog=watchdog,
            lease_seconds=self._settings.lease_seconds,
        )
        while True:
            ended = not child.running  # before it is read: then all that it wrote is read
            answered = self._ship(shipping, child)
            saved = uploads.idle or self._killed(shipping) or self._post.hurrying.is_set()
            if ended and answered and saved and shipping.caught_up:
                break
            if answered and shipping.all_read and not ended:
                self._end_stalled(child, watchdog)
            self._steer(child)
            self._mirror(uploads)
            self._pause(child, uploads, answered=answered)
        if not self._post.hurrying.is_set():
            uploads.mirror()
        return shipping.end

    def _ship(self, shipping: Shipping, child: Child) -> bool:
        """Whether Postgres answered.  Where it is away, the trainer trains on to its deadline."""
        asked_at = time.monotonic()
        self._cut_off |= asked_at > self._deadline
        try:
            self._wanted = shipping.ship()
            if not self._killed(shipping):
                shipping.register_checkpoints()
        except OperationalError as error:
            self._put_up_with(error)
            return False
        self._deadline = asked_at + LIFE_FRACTION * self._settings.lease_seconds
        child.extend_life(self._deadline)
        return True

    def _killed(self, shipping: Shipping) -> bool:
        """Whether nothing more is to be saved: the user said so before the run was complete."""
        return self._wanted is Wanted.KILL and not shipping.completed

    def _end_stalled(self, child: Child, watchdog: Watchdog) -> None:
        """One that was told to end has its grace, and no more, anyway."""
        if not child.told_to_end and (stalled := watchdog.stalled(time.monotonic())):
            self._log.warning("trainer_stalled", how=stalled)
            self._stalled = stalled
            child.kill()

    def _steer(self, child: Child) -> None:
        if self._wanted is Wanted.KILL or self._cut_off or self._post.hurrying.is_set():
            child.kill()
        elif self._wanted is not Wanted.RUN or self._post.stopping.is_set() or child.told_to_end:
            # Told to end, it does so though its user has taken a pause back: its grace still ends.
            child.stop(grace_seconds=self._settings.grace_seconds)

    def _mirror(self, uploads: Uploads) -> None:
        now = time.monotonic()
        if now > self._mirrored_at + MIRROR_SECONDS:
            self._mirrored_at = now
            uploads.mirror_soon()

    def _pause(self, child: Child, uploads: Uploads, *, answered: bool) -> None:
        seconds = self._settings.sync_seconds
        if child.running:
            child.wait(seconds=seconds)
        elif answered:
            uploads.wait(seconds=seconds)
        else:
            time.sleep(seconds)

    def _until_answered(self, ask: Callable[[Session], Answer]) -> Answer:
        """One transaction, repeated while Postgres is away."""
        while True:
            try:
                with self._post.database.session() as session:
                    return ask(session)
            except OperationalError as error:
                self._put_up_with(error)
            time.sleep(self._settings.sync_seconds)

    def _put_up_with(self, error: OperationalError) -> None:
        """Raises: the error, when the worker is to stop and the attempt is not its own any more."""
        too_late = self._post.stopping.is_set() and time.monotonic() > self._deadline
        if too_late or self._post.hurrying.is_set():
            raise error
        self._post.database.troubles.tell(POSTGRES_AWAY, error)

    def _exit_info(self, exit_code: int | None) -> ExitInfo:
        code = exit_code if exit_code is not None and exit_code >= 0 else None
        signal = -exit_code if exit_code is not None and exit_code < 0 else None
        return ExitInfo(code=code, signal=signal, log_tail=log_tail(self._folder / "log.txt"))
