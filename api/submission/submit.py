"""Job submission: check, store, audit, wake a worker, answer once."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, TypeVar

from fastapi import BackgroundTasks, Depends, Response
from sqlalchemy.orm import Session

from api.dependencies.auth import Caller, Submitter
from api.dependencies.services import FromServices, Services
from api.dependencies.trace import RequestTrace
from api.dependencies.transaction import RequestSession
from api.schemas.jobs import JobView
from api.schemas.sweeps import SweepView
from api.submission.check import SpecChecker
from api.submission.idempotent import IdempotencyKey, KeyedRequest, once
from grpo.validation.check import CheckedSpec
from store.access import audit
from store.access.audit import Action
from store.ids import encode
from store.jobs import jobs
from store.tables import Job

Checked = TypeVar("Checked")


@dataclass(frozen=True)
class JobRequest:
    """A request that creates jobs, with its transaction and the server's services."""

    caller: Caller
    session: Session
    services: Services
    traceparent: str
    after_commit: BackgroundTasks
    idempotency_key: str | None = None

    @cached_property
    def checker(self) -> SpecChecker:
        return SpecChecker(self.services, self.caller.project_id)

    def store(self, submission: CheckedSpec, *, reason: str = "submitted") -> Job:
        """Queue a job.

        Raises:
            QuotaExceeded: the project has reached its limit of queued jobs.
        """
        return jobs.submit(
            self.session,
            project_id=self.caller.project_id,
            key_id=self.caller.key_id,
            spec=submission.spec,
            total_steps=submission.total_steps,
            reason=reason,
            traceparent=self.traceparent,
            needs_gpu=submission.needs_gpu,
        )

    def note(self, action: Action, made: Job | str) -> None:
        """Record in the audit log what was created, a job or an id, and wake a worker after the
        commit."""
        made_id = made if isinstance(made, str) else encode("job", made.id)
        audit.note(self.session, self.caller.actor, action, made_id)
        self.after_commit.add_task(self.services.wake_ups.send)

    def once(
        self,
        check: Callable[[], Checked],
        make: Callable[[Checked], JobView | SweepView],
        *,
        route: str,
        body_hash: str = "",
        place: str = "/v1/jobs",
    ) -> Response:
        """Answer 201 with what `make` makes of the result of `check`, or a repeated request with
        its first answer. `check` may take seconds: the transaction begins after it.
        """
        return once(
            self.services.database,
            self.session,
            check,
            make,
            request=KeyedRequest(self.caller.project_id, route, self.idempotency_key, body_hash),
            place=place,
        )


def job_request(
    caller: Submitter,
    session: RequestSession,
    services: FromServices,
    traceparent: RequestTrace,
    after_commit: BackgroundTasks,
    idempotency_key: IdempotencyKey = None,
) -> JobRequest:
    return JobRequest(caller, session, services, traceparent, after_commit, idempotency_key)


def unkeyed_request(
    caller: Submitter,
    session: RequestSession,
    services: FromServices,
    traceparent: RequestTrace,
    after_commit: BackgroundTasks,
) -> JobRequest:
    """A request whose idempotency its route handles itself."""
    return JobRequest(caller, session, services, traceparent, after_commit)


MakesJobs = Annotated[JobRequest, Depends(job_request)]
MakesJobsUnkeyed = Annotated[JobRequest, Depends(unkeyed_request)]
