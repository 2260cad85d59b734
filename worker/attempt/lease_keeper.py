"""An attempt's lease: extensions, which return the user's request, and Postgres outages."""

import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from store.database.troubles import POSTGRES_AWAY
from store.jobs import leases
from store.jobs.claim import Claim
from store.states import Wanted
from worker.context import WorkerContext

Answer = TypeVar("Answer")

LIFE_FRACTION = 0.75
"""The trainer's lifetime as a fraction of the lease, from before the call that extended it: the
trainer has certainly ended when another worker may start."""


class LeaseKeeper:
    """Keeps the lease of one attempt, in the attempt's thread."""

    def __init__(self, context: WorkerContext, claim: Claim, *, claimed_at: float) -> None:
        """`claimed_at`: time.monotonic() before the claim."""
        self._context = context
        self._claim = claim
        self._life_seconds = LIFE_FRACTION * context.settings.lease_seconds
        self.wanted = claim.wanted
        """The user's request when the lease was last extended."""
        self.deadline = claimed_at + self._life_seconds
        """End of the trainer's lifetime, by time.monotonic()."""

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed, so that the attempt may belong to another worker."""
        return time.monotonic() > self.deadline

    def extend(self, sync: Callable[[], None]) -> bool:
        """Extend the lease with a call that updates `wanted`; return whether Postgres answered.

        Raises:
            LeaseLost: the attempt is over.
            OperationalError: Postgres is unavailable, and the worker should stop.
        """
        asked_at = time.monotonic()
        try:
            sync()
        except OperationalError as error:
            self._tolerate(error)
            return False
        self.deadline = asked_at + self._life_seconds
        return True

    def continues(self) -> bool:
        """Extend the lease without shipping anything; return whether the attempt should
        continue."""
        self.extend(self._sync)
        asked_to_end = self._context.stopping.is_set() or self._context.hurrying.is_set()
        return self.wanted is Wanted.RUN and not asked_to_end

    def until_answered(self, ask: Callable[[Session], Answer]) -> Answer:
        """Run one transaction, repeated while Postgres is unavailable."""
        while True:
            try:
                with self._context.database.session() as session:
                    return ask(session)
            except OperationalError as error:
                self._tolerate(error)
            time.sleep(self._context.settings.sync_seconds)

    def _sync(self) -> None:
        job_id, attempt = self._claim.job_id, self._claim.attempt
        lease_seconds = self._context.settings.lease_seconds
        with self._context.database.session() as session:
            self.wanted = leases.sync(session, job_id, attempt, [], lease_seconds)

    def _tolerate(self, error: OperationalError) -> None:
        """Report that Postgres is unavailable; raise if the worker should stop and no longer owns
        the attempt."""
        too_late = self._context.stopping.is_set() and self.is_over
        if too_late or self._context.hurrying.is_set():
            raise error
        self._context.database.troubles.tell(POSTGRES_AWAY, error)
