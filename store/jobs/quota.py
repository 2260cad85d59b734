"""A project's limit of queued jobs."""

from functools import cache
from uuid import UUID

from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.orm import Session

from store.errors import QuotaExceeded
from store.jobs.queue import waits
from store.tables import Job, Project


def hold_place(session: Session, project_id: UUID) -> None:
    """Reserve room for one more queued job in a project until the transaction ends.

    The lock on the project's row makes the count exact: two concurrent submissions would not count
    each other.  No foreign key waits for this lock, and a project without a limit is not locked at
    all.

    Raises:
        QuotaExceeded: the project is at its limit of queued jobs.
    """
    max_queued = session.scalar(_locked_limit(), {"project_id": project_id})
    if max_queued is None:
        return
    queued = select(func.count()).select_from(Job).where(Job.project_id == project_id, waits())
    if session.scalars(queued).one() >= max_queued:
        raise QuotaExceeded(max_queued)


@cache  # building the statement takes longer than running it
def _locked_limit() -> Select[int | None]:
    own = Project.id == bindparam("project_id")
    limited = select(Project.max_queued).where(own, Project.max_queued.is_not(None))
    return limited.with_for_update(key_share=True)
