"""End of trainers on this machine that outlived their attempt and worker."""

import structlog
from sqlalchemy.orm import Session

from store.ids import encode
from store.jobs import attempts
from worker.processes import end_leftovers

log = structlog.get_logger()


def end_orphans(session: Session, *, host: str, boot_id: str) -> None:
    """End the trainers of attempts that are over; trainers of workers with a valid lease stay."""
    for left in attempts.leftovers(session, host=host, boot_id=boot_id):
        if end_leftovers(left.pid, left.process_started_at):
            log.warning("orphan_ended", job=encode("job", left.job_id), attempt=left.attempt)
