"""Records, attempts and checkpoints of a job, as stored."""

from store.jobs import checkpoints
from store.tables import Attempt, Checkpoint, Job
from tests.service.worker.conftest import Desk


def kinds(desk: Desk, job: Job) -> list[tuple[str, int | None]]:
    return [(record.kind, record.step) for record in desk.records(job.id)]


def attempt_of(desk: Desk, job: Job, number: int = 1) -> Attempt:
    with desk.context.database.session() as session:
        return session.get_one(Attempt, (job.id, number))


def checkpoints_of(desk: Desk, job: Job) -> list[Checkpoint]:
    with desk.context.database.session() as session:
        return checkpoints.list_checkpoints(session, job.id)
