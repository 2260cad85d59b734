"""Worker registry: registration, heartbeat, drain.

A draining worker takes no more jobs, finishes its running ones, and stays until it is stopped, like
a drained node in Kubernetes or Nomad; undraining lets it take jobs again.  A worker drained with
`leave` also ends by itself once it runs nothing.  A restarted worker process is a new worker, which
is not draining.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from uuid import UUID

from sqlalchemy import Select, any_, bindparam, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from store.errors import Conflict, NotFound
from store.ids import encode
from store.states import Status
from store.tables import Job, Worker


@dataclass(frozen=True)
class Gpu:
    """One device."""

    name: str
    memory_bytes: int | None
    """None: unknown, as for a GPU that shares the processor's memory."""


@dataclass(frozen=True)
class Machine:
    """A worker's hardware and software."""

    gpus: Sequence[Gpu] = ()
    memory_bytes: int | None = None
    versions: dict[str, str] = field(default_factory=dict)
    """Versions by package, and of Python."""


@dataclass(frozen=True)
class Card:
    """The largest GPU that a job may get."""

    memory_bytes: int
    has_vllm: bool
    """Whether each worker that may run the job has vLLM; one without samples by transformers."""


@dataclass(frozen=True)
class Duty:
    """The instructions in a worker's row."""

    drains: bool
    leaves_when_empty: bool


@dataclass(frozen=True)
class Load:
    """The jobs that a worker runs, as one project sees them."""

    own: Sequence[UUID] = ()
    """Jobs of this project, by time of claim."""
    num_others: int = 0
    """Number of other projects' jobs."""


def register(
    session: Session,
    *,
    worker_id: UUID,
    host: str,
    boot_id: str,
    pid: int,
    queues: Sequence[str],
    num_gpus: int,
    slots: int,
    machine: Machine | None = None,
) -> None:
    """Register a worker; repeating the call changes nothing."""
    known = machine or Machine()
    new = insert(Worker).values(
        id=worker_id,
        host=host,
        boot_id=boot_id,
        pid=pid,
        queues=list(queues),
        num_gpus=num_gpus,
        slots=slots,
        gpus=[asdict(gpu) for gpu in known.gpus],
        memory_bytes=known.memory_bytes,
        versions=known.versions,
    )
    session.execute(new.on_conflict_do_nothing())


def beat(session: Session, worker_id: UUID, *, blocked: str | None = None) -> Duty:
    """Record a heartbeat and return the worker's duty; a worker marked gone becomes live again.

    `blocked`: the reason why the worker cannot run jobs and thus takes none.
    """
    alive = update(Worker).where(Worker.id == worker_id)
    told = alive.values(last_seen_at=func.now(), gone_at=None, blocked=blocked).returning(
        Worker.draining_at.is_not(None), Worker.leaves_when_empty
    )
    row = session.execute(told.execution_options(synchronize_session=False)).one_or_none()
    return Duty(False, False) if row is None else Duty(*row)


def leave(session: Session, worker_id: UUID) -> None:
    """Record that a worker ends."""
    gone = update(Worker).where(Worker.id == worker_id).values(gone_at=func.now())
    session.execute(gone.execution_options(synchronize_session=False))


def drain(session: Session, worker_id: UUID, *, leave: bool) -> Worker:
    """Drain a worker: no job is claimed for it once this is committed.

    `leave`: the worker ends once it runs nothing.  Repeating the call only changes `leave`.

    Raises:
        NotFound: the worker has never existed.
        Conflict: the worker is gone.
    """
    since = func.coalesce(Worker.draining_at, func.now())
    return _instruct(session, worker_id, draining_at=since, leaves_when_empty=leave)


def undrain(session: Session, worker_id: UUID) -> Worker:
    """Let a worker take jobs again.

    Raises:
        NotFound: the worker has never existed.
        Conflict: the worker is gone.
    """
    return _instruct(session, worker_id, draining_at=None, leaves_when_empty=False)


def drains(session: Session, worker_id: UUID) -> bool:
    """Whether a worker is draining; a concurrent drain waits until this transaction has ended."""
    query = select(Worker.draining_at.is_not(None)).where(Worker.id == worker_id)
    return bool(session.scalar(query.with_for_update(read=True)))


def get(session: Session, worker_id: UUID) -> Worker:
    """Return one worker, even one that is gone.

    Raises:
        NotFound: the worker has never existed.
    """
    worker = session.get(Worker, worker_id)
    if worker is None:
        raise NotFound("worker", encode("work", worker_id))
    return worker


def list_workers(session: Session) -> list[Worker]:
    """Return the connected workers, newest first."""
    there = select(Worker).where(Worker.gone_at.is_(None))
    return list(session.scalars(there.order_by(Worker.started_at.desc(), Worker.id)))


def serve_with_gpu(session: Session, queue: str) -> bool:
    """Whether a connected worker of a queue has a GPU."""
    return bool(session.scalar(_serve_with_gpu(), {"queue": queue}))


@cache  # building the statement takes longer than running it
def _serve_with_gpu() -> Select[bool]:
    there = select(Worker.id).where(Worker.gone_at.is_(None), Worker.num_gpus > 0)
    return select(there.where(bindparam("queue") == any_(Worker.queues)).exists())


def largest_gpu(session: Session, queue: str) -> Card | None:
    """Return the largest GPU of a queue's connected workers; None: there is none, or the memory of
    one is unknown."""
    there = select(Worker.gpus, Worker.versions).where(
        Worker.gone_at.is_(None), Worker.num_gpus > 0
    )
    serving = session.execute(there.where(literal(queue) == any_(Worker.queues))).all()
    sizes = [gpu["memory_bytes"] for gpus, _ in serving for gpu in gpus]
    if not sizes or None in sizes:
        return None
    return Card(max(sizes), has_vllm=all("vllm" in versions for _, versions in serving))


def largest_memory(session: Session, queue: str) -> int | None:
    """Return the memory of the largest machine of a queue's connected workers; None: there is none,
    or the memory of one is unknown."""
    there = select(Worker.memory_bytes).where(Worker.gone_at.is_(None))
    sizes = session.scalars(there.where(literal(queue) == any_(Worker.queues))).all()
    known = [size for size in sizes if size is not None]
    return max(known) if known and len(known) == len(sizes) else None


def any_blocked(session: Session) -> bool:
    """Whether a connected worker cannot run jobs."""
    there = select(Worker.id).where(Worker.gone_at.is_(None), Worker.blocked.is_not(None))
    return session.scalar(there.limit(1)) is not None


def loads(session: Session, project_id: UUID) -> dict[UUID, Load]:
    """Return the load of each worker that runs a job."""
    own = Job.project_id == project_id
    query = (
        select(
            Job.worker_id,
            func.array_agg(Job.id).filter(own),
            func.count().filter(~own),
        )
        .where(Job.status == Status.RUNNING)
        .group_by(Job.worker_id)
    )
    return {
        worker_id: Load(sorted(jobs or ()), others)
        for worker_id, jobs, others in session.execute(query)
        if worker_id is not None
    }


def _instruct(session: Session, worker_id: UUID, **values: object) -> Worker:
    told = update(Worker).where(Worker.id == worker_id, Worker.gone_at.is_(None))
    worker = session.scalar(
        told.values(**values).returning(Worker).execution_options(populate_existing=True)
    )
    if worker is None:
        get(session, worker_id)
        raise Conflict(
            f"worker {encode('work', worker_id)} is gone and takes no jobs: see the list of workers"
        )
    return worker
