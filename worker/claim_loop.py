"""Claims jobs from the queue and runs them, one after another on each slot."""

import time

import structlog
from sqlalchemy.exc import OperationalError

from store.database.troubles import POSTGRES_AWAY
from store.jobs.claim import Claim, claim_next
from worker.attempt.supervisor import Supervisor
from worker.context import WorkerContext
from worker.slots import Slot, Slots

log = structlog.get_logger()

WAIT_SECONDS = 1


class ClaimLoop:
    """The loop that claims and runs jobs, entered by a wake-up or by a poll."""

    def __init__(self, context: WorkerContext, slots: Slots) -> None:
        self._context = context
        self._slots = slots

    def wake(self) -> None:
        """Run the jobs that are queued.

        A wake-up that arrives while every slot is taken, or while this worker is draining, waits:
        later wake-ups then stay in Redis for other workers, and a job that was queued just after a
        slot found the queue empty is not missed.
        """
        while not self._context.stopping.is_set():
            if self._work(wait_seconds=WAIT_SECONDS):
                return

    def poll(self) -> None:
        """Poll the queue every `poll_seconds` until the worker stops; for a thread of its own."""
        while not self._context.stopping.is_set():
            try:
                self._work(wait_seconds=0)
            except Exception as error:  # noqa: BLE001 - a loop that stopped polling would seem alive
                self._context.database.troubles.tell("poll_failed", error)
            self._context.stopping.wait(self._context.settings.poll_seconds)

    def _work(self, *, wait_seconds: float) -> bool:
        """Run jobs while there are any; False: no slot was free, or the worker takes no jobs."""
        if not self._context.takes_more or self._is_blocked():
            self._context.stopping.wait(wait_seconds)
            return False
        with self._slots.take(seconds=wait_seconds) as slot:
            if slot is None:
                return False
            while self._run_next(slot):
                if self._context.retired.problem(slot.gpus) is not None:
                    self._slots.retire(slot)
                    break
                if self._is_blocked():
                    break
        return True

    def _is_blocked(self) -> bool:
        """Whether a job's output could not be written, so that jobs wait or run on other
        workers."""
        before = self._context.writes.problem
        problem = self._context.writes.look()
        if problem != before:
            log.warning("worker_cannot_write", why=problem) if problem else log.info("writes_again")
        return problem is not None

    def _run_next(self, slot: Slot) -> bool:
        """Claim the next job and run it; return whether there was one."""
        claimed_at = time.monotonic()
        try:
            claim = self._claim(slot)
        except OperationalError as error:
            self._context.database.troubles.tell(POSTGRES_AWAY, error)
            return False
        if claim is not None:
            Supervisor(self._context, claim, slot, claimed_at=claimed_at).run()
        return claim is not None

    def _claim(self, slot: Slot) -> Claim | None:
        if not self._context.takes_more:
            return None
        with self._context.database.session() as session:
            return claim_next(
                session,
                worker_id=self._context.worker_id,
                host=self._context.host,
                queues=self._context.settings.queues,
                num_gpus=len(slot.gpus),
                lease_seconds=self._context.settings.lease_seconds,
                boot_id=self._context.boot_id,
                gpus=",".join(slot.gpus) or None,
            )
