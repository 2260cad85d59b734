"""Delivery of the outbox's events to webhooks."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import structlog

from store.database.database import Database
from store.ids import encode
from store.webhooks import deliveries, events
from store.webhooks.deliveries import PATIENCE, Claim, Patience
from store.webhooks.sender import Answer, Sender

log = structlog.get_logger()

NUM_THREADS = 32
EVENTS_AT_ONCE = 200
POLL_SECONDS = 1.0
TIDY_SECONDS = 3600
KEPT_DAYS = 30


class Delivering:
    """A loop that claims due deliveries and sends them, one at a time to each webhook.

    A slow or dead receiver thus occupies one thread, and does not delay the others.  Several
    processes may run this loop: no two claim the same delivery.
    """

    def __init__(
        self,
        database: Database,
        sender: Sender,
        *,
        patience: Patience = PATIENCE,
        num_threads: int = NUM_THREADS,
    ) -> None:
        self._database = database
        self._sender = sender
        self._patience = patience
        self._num_threads = num_threads
        # Resolving the name takes extra time before the sender's limit starts.
        self._lost_after_seconds = 2 * sender.timeout_seconds
        self._busy: set[UUID] = set()
        self._lock = threading.Lock()
        self._stirred = threading.Event()
        self._stopping = threading.Event()
        self._tidied_at: float | None = None

    def run(self) -> None:
        """Deliver until `stop`, then wait for the deliveries in progress."""
        with ThreadPoolExecutor(self._num_threads, "sender") as threads:
            while not self._stopping.is_set():
                self._stirred.clear()
                for claim in self._claimed():
                    threads.submit(self._deliver, claim)
                self._tidy()
                self._stirred.wait(POLL_SECONDS)

    def stop(self) -> None:
        self._stopping.set()
        self._stirred.set()

    def _claimed(self) -> Sequence[Claim]:
        """Claim as many due deliveries as threads are free; none while Postgres is unavailable."""
        with self._lock:
            busy = list(self._busy)
        self._spread()
        if len(busy) == self._num_threads:
            return []
        try:
            # Committed before anything is sent: see `store.webhooks.deliveries`.
            with self._database.session() as session:
                claims = deliveries.claim_due(
                    session,
                    limit=self._num_threads - len(busy),
                    without=busy,
                    lost_after_seconds=self._lost_after_seconds,
                )
        except Exception as error:  # noqa: BLE001 - the process would seem alive
            self._database.troubles.tell("claiming_deliveries_failed", error)
            return []
        with self._lock:
            self._busy.update(claim.webhook_id for claim in claims)
        return claims

    def _spread(self) -> None:
        """Create deliveries of new events; a failure is retried at the next poll."""
        try:
            with self._database.session() as session:
                events.spread(session, limit=EVENTS_AT_ONCE)
        except Exception as error:  # noqa: BLE001 - the process would seem alive
            self._database.troubles.tell("spreading_events_failed", error)

    def _deliver(self, claim: Claim) -> None:
        try:
            answer = self._sender.send(claim.message)
            self._settle(claim, answer)
        except Exception as error:  # noqa: BLE001 - the process would seem alive
            # The result was not stored: the delivery will be sent again.
            self._database.troubles.tell("delivery_failed", error)
        finally:
            with self._lock:
                self._busy.remove(claim.webhook_id)
            self._stirred.set()

    def _settle(self, claim: Claim, answer: Answer) -> None:
        with self._database.session() as session:
            counted = deliveries.settle(session, claim, answer, self._patience)
        if answer.error is not None or not counted:
            log.warning(
                "webhook_not_delivered",
                webhook=encode("hook", claim.webhook_id),
                delivery=claim.message.id,
                error=answer.error,
                counted=counted,
            )

    def _tidy(self) -> None:
        """Delete old deliveries once an hour; failures are only logged."""
        now = time.monotonic()
        if self._tidied_at is not None and now - self._tidied_at < TIDY_SECONDS:
            return
        self._tidied_at = now
        try:
            with self._database.session() as session:
                deliveries.forget_old(session, days=KEPT_DAYS)
        except Exception as error:  # noqa: BLE001 - the process would seem alive
            self._database.troubles.tell("tidying_failed", error)
