"""Ships a trainer's records and checkpoints to Postgres."""

import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from store.database.database import Database
from store.jobs import checkpoint_retention, leases
from store.jobs.claim import Claim
from store.log import clock_skew
from store.log.log import Entry
from store.states import Wanted
from worker.attempt.pace import Pace
from worker.attempt.record_tail import RecordTail
from worker.attempt.trainer_process import TrainerProcess
from worker.attempt.uploads import Notice, Uploads
from worker.attempt.watchdog import Watchdog


class RecordShipper:
    """One attempt's shipper.  Records that could not be shipped stay in the run directory and are
    sent again."""

    def __init__(
        self,
        database: Database,
        claim: Claim,
        trainer: TrainerProcess,
        *,
        tail: RecordTail,
        uploads: Uploads,
        watchdog: Watchdog,
        pace: Pace,
        lease_seconds: float,
    ) -> None:
        self._database = database
        self._claim = claim
        self._trainer = trainer
        self._tail = tail
        self._uploads = uploads
        self._watchdog = watchdog
        self._pace = pace
        self._lease_seconds = lease_seconds
        self._unshipped: list[Entry] = []
        self._process_known = False
        self.caught_up = False
        """Whether everything that the trainer had written at the last `ship` has been shipped."""
        self.all_read = False
        """Whether everything that it had written then has at least been read."""
        self.end: dict[str, Any] | None = None
        """The payload of the trainer's last record, once it has been read."""

    def ship(self) -> Wanted:
        """Send the next records and extend the lease; return the job's wanted state.

        Raises:
            LeaseLost: the attempt is over.
            OperationalError: Postgres is unavailable; call again.
        """
        self.all_read = False
        if not self._unshipped:
            self._read()
            self.all_read = self._tail.at_end
        at_end = not self._unshipped
        wanted = self._sync(self._unshipped)
        self._unshipped = []
        self.caught_up = at_end
        return wanted

    @property
    def completed(self) -> bool:
        """Whether the trainer has reported that the run is complete."""
        return self.end is not None and self.end["outcome"] == "completed"

    def register_checkpoints(self) -> None:
        """Register uploaded checkpoints; remove their local copies and outdated checkpoints.

        Raises:
            LeaseLost: the attempt is over.
            OperationalError: Postgres is unavailable; call again.
            RunError: a checkpoint could not be uploaded.
        """
        while uploaded := self._uploads.first_done:
            notice = uploaded.notice
            if self._unshipped and self._unshipped[0].n < notice.n:
                return  # a checkpoint follows the records that led to it in the log
            with self._database.session() as session:
                leases.register_checkpoint(
                    session,
                    self._claim.job_id,
                    self._claim.attempt,
                    step=notice.step,
                    key=uploaded.key,
                    manifest=uploaded.manifest,
                    bytes=uploaded.num_bytes,
                    final=notice.final,
                    n=notice.n,
                )
                outdated = checkpoint_retention.remove_outdated(session, self._claim.job_id)
            self._uploads.drop()
            self._uploads.remove(outdated)
            shutil.rmtree(notice.folder)

    def _read(self) -> None:
        for entry in self._tail.read():
            self._watchdog.note(entry, time.monotonic())
            self._pace.note(entry)
            if entry.kind == "checkpoint":
                self._uploads.add(self._notice(entry))
                continue  # the registration writes the record, once the files are stored
            if entry.kind == "end":
                self.end = entry.payload
            self._unshipped.append(entry)

    def _notice(self, entry: Entry) -> Notice:
        assert entry.step is not None, "a checkpoint has a step"
        return Notice(
            n=entry.n,
            step=entry.step,
            folder=self._tail.path.parent / entry.payload["path"],
            final=entry.payload["final"],
        )

    def _sync(self, entries: Sequence[Entry]) -> Wanted:
        job_id, attempt = self._claim.job_id, self._claim.attempt
        with self._database.session() as session:
            self._record_process(session)
            dated = clock_skew.by_database_clock(
                session, job_id, attempt, entries, local_now=datetime.now(UTC)
            )
            wanted = leases.sync(session, job_id, attempt, dated, self._lease_seconds)
        self._process_known = True
        return wanted

    def _record_process(self, session: Session) -> None:
        if not self._process_known:
            leases.record_process(
                session,
                self._claim.job_id,
                self._claim.attempt,
                pid=self._trainer.pid,
                process_started_at=self._trainer.started_at,
            )
