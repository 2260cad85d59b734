"""The loop beside a trainer: ships its records to Postgres and passes on the user's requests."""

import time
from pathlib import Path
from typing import Any

import structlog

from store.jobs.claim import Claim
from store.states import Wanted
from worker.attempt.lease_keeper import LeaseKeeper
from worker.attempt.pace import Pace
from worker.attempt.record_tail import RecordTail
from worker.attempt.shipper import RecordShipper
from worker.attempt.trainer_process import TrainerProcess
from worker.attempt.uploads import Uploads
from worker.attempt.watchdog import Watchdog
from worker.context import WorkerContext

MIRROR_SECONDS = 5
"""Interval between uploads of the log and the rollouts while they grow."""


class SyncLoop:
    """One trainer's loop, in the thread that started the trainer: see TrainerProcess."""

    def __init__(
        self,
        context: WorkerContext,
        claim: Claim,
        lease: LeaseKeeper,
        *,
        trainer: TrainerProcess,
        uploads: Uploads,
        folder: Path,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._settings = context.settings
        self._stopping = context.stopping
        self._hurrying = context.hurrying
        self._lease = lease
        self._trainer = trainer
        self._uploads = uploads
        self._log = log
        self._watchdog = Watchdog(
            least_seconds=self._settings.stall_seconds, begun_at=time.monotonic()
        )
        self._pace = Pace()
        self._shipper = RecordShipper(
            context.database,
            claim,
            trainer,
            tail=RecordTail(folder / "records.jsonl"),
            uploads=uploads,
            watchdog=self._watchdog,
            pace=self._pace,
            lease_seconds=self._settings.lease_seconds,
        )
        self._mirrored_at = time.monotonic()
        self.cut_off = False
        """Whether the trainer's deadline passed while Postgres was unavailable."""
        self.stalled: str | None = None
        """Description of the stall for which the trainer was killed."""

    def run(self) -> dict[str, Any] | None:
        """Return the trainer's last record, once it has ended and all its output is shipped."""
        while True:
            ended = not self._trainer.running  # before reading, so that all output is read
            answered = self._ship()
            saved = self._uploads.idle or self._killed or self._hurrying.is_set()
            if ended and answered and saved and self._shipper.caught_up:
                break
            if answered and self._shipper.all_read and not ended:
                self._end_stalled()
            self._steer()
            self._mirror()
            self._pause(answered=answered)
        if not self._hurrying.is_set():
            self._uploads.mirror()
        return self._shipper.end

    def _ship(self) -> bool:
        """Ship new records; return whether Postgres answered; if not, training runs to its
        deadline."""
        self.cut_off |= self._lease.is_over
        answered = self._lease.extend(self._sync)
        if answered:
            self._trainer.extend_life(self._lease.deadline)
        return answered

    def _sync(self) -> None:
        self._lease.wanted = self._shipper.ship()
        if not self._killed:
            self._shipper.register_checkpoints()

    @property
    def _killed(self) -> bool:
        """Whether nothing more should be saved: the user killed the job before it was complete."""
        return self._lease.wanted is Wanted.KILL and not self._shipper.completed

    def _end_stalled(self) -> None:
        """Kill a stalled trainer; a stopping trainer is bounded by the grace period instead."""
        stalled = self._watchdog.stalled(time.monotonic())
        if stalled and not self._trainer.asked_to_end:
            self._log.warning("trainer_stalled", how=stalled)
            self.stalled = stalled
            self._trainer.kill()

    def _steer(self) -> None:
        wanted, trainer = self._lease.wanted, self._trainer
        if wanted is Wanted.KILL or self.cut_off or self._hurrying.is_set():
            trainer.kill()
        elif wanted is not Wanted.RUN or self._stopping.is_set() or trainer.asked_to_end:
            # Once asked to end, it ends even if its user has withdrawn the pause.
            trainer.stop(grace_seconds=self._pace.grace_seconds(self._settings.grace_seconds))

    def _mirror(self) -> None:
        now = time.monotonic()
        if now > self._mirrored_at + MIRROR_SECONDS:
            self._mirrored_at = now
            self._uploads.mirror_soon()

    def _pause(self, *, answered: bool) -> None:
        seconds = self._settings.sync_seconds
        if self._trainer.running:
            self._trainer.wait(seconds=seconds)
        elif answered:
            self._uploads.wait(seconds=seconds)
        else:
            time.sleep(seconds)
