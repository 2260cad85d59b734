"""Workers, their jobs, and the queues."""

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Query
from sqlalchemy.orm import Session

from api.dependencies.auth import Caller, Operator, Reader
from api.dependencies.path_ids import WorkerId
from api.dependencies.services import FromServices
from api.dependencies.transaction import RequestSession
from api.errors.responses import problems
from api.schemas.fleet import Queues, QueueView, Workers, WorkerView
from store import ids, workers
from store.access import audit
from store.jobs import queue_stats
from store.tables import Worker
from store.workers import Load

router = APIRouter(tags=["fleet"])


@router.get("/workers", responses=problems())
def list_workers(caller: Reader, session: RequestSession) -> Workers:
    """List the live workers, newest first."""
    loads = workers.loads(session, caller.project_id)
    there = workers.list_workers(session)
    return Workers(data=[WorkerView.of(one, loads.get(one.id, Load())) for one in there])


@router.get("/workers/{worker}", responses=problems(404))
def read_worker(worker_id: WorkerId, caller: Reader, session: RequestSession) -> WorkerView:
    """Return one worker, including one that has left."""
    return _shown(session, caller, workers.get(session, worker_id))


@router.post("/workers/{worker}/drain", responses=problems(404, 409))
def drain_worker(
    worker_id: WorkerId,
    caller: Operator,
    session: RequestSession,
    leave: Annotated[
        bool, Query(description="Also end the worker once it runs no more jobs.")
    ] = False,
) -> WorkerView:
    """Drain a worker: from this answer on it starts no jobs. It finishes its running jobs, and
    stays until it is stopped."""
    audit.note(session, caller.actor, "worker.drain", ids.encode("work", worker_id))
    return _shown(session, caller, workers.drain(session, worker_id, leave=leave))


@router.post("/workers/{worker}/undrain", responses=problems(404, 409))
def undrain_worker(
    worker_id: WorkerId,
    caller: Operator,
    session: RequestSession,
    services: FromServices,
    after_commit: BackgroundTasks,
) -> WorkerView:
    """Let a worker take jobs again."""
    audit.note(session, caller.actor, "worker.undrain", ids.encode("work", worker_id))
    after_commit.add_task(services.wake_ups.send)
    return _shown(session, caller, workers.undrain(session, worker_id))


@router.get("/queue", responses=problems())
def list_queues(_: Reader, session: RequestSession) -> Queues:
    """List every queue with its queued and running jobs, its workers, and the expected wait of a
    new job."""
    return Queues(data=[QueueView.of(state) for state in queue_stats.states(session)])


def _shown(session: Session, caller: Caller, worker: Worker) -> WorkerView:
    load = workers.loads(session, caller.project_id).get(worker.id, Load())
    return WorkerView.of(worker, load)
