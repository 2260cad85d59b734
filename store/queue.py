"""The queue: who may be claimed, in which order, and why a job still waits."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Select, func, select, tuple_
from sqlalchemy.orm import Session, aliased

from store.states import Status, Wanted
from store.tables import Job, Worker

# Any constant: claims come one after another.
CLAIM_LOCK = 7_215_064_002


def claimable(*, queues: Sequence[str], num_gpus: int) -> Select[Job]:
    """The first job that a worker can run, locked.

    In the order of priority, then of how many jobs its project runs already, then of age.
    """
    return (
        select(Job)
        .where(Job.status == Status.QUEUED, Job.wanted == Wanted.RUN)
        .where(Job.queue.in_(queues), Job.gpus <= num_gpus)
        .order_by(Job.priority.desc(), _num_running_of_project(), Job.queued_at, Job.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )


def position(session: Session, job: Job) -> int:
    """Its place among the queued jobs of its queue, from 1, in the order of `claimable`."""
    own = select(func.count()).select_from(Job)
    num_running = session.scalar(
        own.where(Job.status == Status.RUNNING, Job.project_id == job.project_id)
    )
    ahead = tuple_(-Job.priority, _num_running_of_project(), Job.queued_at, Job.id) < tuple_(
        -job.priority, num_running, job.queued_at, job.id
    )
    query = select(func.count()).select_from(Job)
    queued = (Job.status == Status.QUEUED, Job.wanted == Wanted.RUN, Job.queue == job.queue)
    return 1 + (session.scalar(query.where(*queued, Job.id != job.id, ahead)) or 0)


def waiting_for(session: Session, job: Job) -> str:
    """What must happen for this queued job to be claimed."""
    serving = select(Worker).where(Worker.gone_at.is_(None), Worker.queues.contains([job.queue]))
    workers = session.scalars(serving).all()
    if not workers:
        return f"a worker for queue {job.queue!r}"
    fitting = [worker for worker in workers if worker.num_gpus >= job.gpus]
    if not fitting:
        gpus = "1 GPU" if job.gpus == 1 else f"{job.gpus} GPUs"
        return f"a worker with {gpus} for queue {job.queue!r}"
    busy = select(func.count()).select_from(Job).where(Job.status == Status.RUNNING)
    num_busy = session.scalar(busy.where(Job.worker_id.in_([w.id for w in fitting]))) or 0
    if num_busy + position(session, job) > sum(worker.slots for worker in fitting):
        return "other jobs to finish"
    return "a worker to take it, in a moment"


def _num_running_of_project() -> ColumnElement[int]:
    other = aliased(Job)
    running = select(func.count()).where(
        other.status == Status.RUNNING, other.project_id == Job.project_id
    )
    return running.correlate(Job).scalar_subquery()
