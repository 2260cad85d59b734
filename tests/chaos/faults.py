"""The table of faults: injection and repair of each kind."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil
import redis
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.exc import OperationalError

from store.ids import encode
from store.states import Status
from store.tables import Attempt, Checkpoint, Job
from store.wake_up import QUEUE
from tests.chaos.plan import Ending, Kind, PlannedFault, PlannedJob
from tests.chaos.system import System, Workplace
from tests.chaos.users import Users

Thing = TypeVar("Thing")

MAX_REQUEST_SECONDS = 0.05
"""Largest delay between a request's start and the kill of the API."""
MOST_DOUBLED = 50


@dataclass(frozen=True)
class Submitted:
    """A job requested by its user."""

    plan: PlannedJob
    answer: Future[str]

    @property
    def id(self) -> str | None:
        """Id of the job; None if not answered yet, or refused."""
        known = self.answer.done() and self.answer.exception() is None
        return self.answer.result() if known else None


@dataclass
class Scene:
    """Targets of faults, and data that faults record for the verdict."""

    system: System
    users: Users
    submit_next: Callable[[], Submitted | None]
    """Next planned job, or None."""
    submitted: list[Submitted] = field(default_factory=list)
    to_cancel: list[int] = field(default_factory=list)
    """Jobs of the plan that no fault has cancelled yet."""
    damaged: set[str] = field(default_factory=set)
    """Keys of checkpoints in which a byte was flipped."""

    def endings(self, *endings: Ending) -> set[str]:
        """Jobs with this required end."""
        return {one.id for one in self.submitted if one.plan.ending in endings and one.id}


@dataclass(frozen=True)
class Struck:
    """An injected fault."""

    what: str
    mend: Callable[[], object] | None = None
    """Repair of the fault, or None."""


class NoTargetError(Exception):
    """The fault has no target at this moment."""


Strike = Callable[[Scene, PlannedFault], Struck]

GONE = (NoTargetError, OperationalError, redis.ConnectionError, psutil.Error, FileNotFoundError)
"""Errors of an injection whose target is missing, ends or is removed at that moment."""


def strike(scene: Scene, fault: PlannedFault) -> Struck | None:
    """Inject a fault; return None if it has no target."""
    try:
        _busy(scene, fault)
        return STRIKES[fault.kind](scene, fault)
    except GONE:
        return None


def _kill_trainer(scene: Scene, fault: PlannedFault) -> Struck:
    trainers = [t for workplace in scene.system.workplaces for t in workplace.trainers]
    trainer = _picked(trainers, fault)
    trainer.kill()
    return Struck(f"trainer {trainer.pid}")


def _kill_worker(scene: Scene, fault: PlannedFault) -> Struck:
    workplace = _busy(scene, fault)
    pid = workplace.worker.pid
    workplace.kill()
    return Struck(f"worker {pid}", workplace.restart)


def _kill_all_workers(scene: Scene, fault: PlannedFault) -> Struck:
    workplaces = scene.system.workplaces
    for workplace in workplaces:
        workplace.kill()

    def mend() -> None:
        for workplace in workplaces:
            workplace.restart()

    return Struck(f"{len(workplaces)} workers", mend)


def _stop_worker(scene: Scene, fault: PlannedFault) -> Struck:
    workplace = _busy(scene, fault)
    worker = workplace.worker
    workplace.stop()
    return Struck(f"worker {worker.pid}", lambda: workplace.continue_(worker))


def _drain_worker(scene: Scene, fault: PlannedFault) -> Struck:
    workplace = _busy(scene, fault)
    pid = workplace.worker.pid
    workplace.drain()
    return Struck(f"worker {pid}")


def _kill_api(scene: Scene, fault: PlannedFault) -> Struck:
    """Kill the API during a submission if one is left, else during a read."""
    api = scene.system.api
    if not api.running:
        raise NoTargetError
    next_job = scene.submit_next()
    if next_job is None:
        scene.users.list_jobs()
    time.sleep(fault.target * MAX_REQUEST_SECONDS)
    api.kill()
    return Struck("in a submission" if next_job else "in a reading", scene.system.restart_api)


def _kill_redis(scene: Scene, fault: PlannedFault) -> Struck:
    valkey = scene.system.valkey
    if not valkey.child.running:
        raise NoTargetError
    valkey.kill()
    if fault.kind is Kind.REDIS_EMPTIED:
        valkey.lose_data()
    return Struck("", valkey.start)


def _kill_postgres(scene: Scene, fault: PlannedFault) -> Struck:
    postgres = scene.system.postgres
    if not postgres.child.running:
        raise NoTargetError
    postgres.kill()
    return Struck("", postgres.start)


def _lose_messages(scene: Scene, fault: PlannedFault) -> Struck:
    with redis.Redis.from_url(scene.system.valkey.url) as client:
        lost = client.llen(QUEUE)
        if not lost:
            raise _none_waits(scene)
        client.flushall()
    return Struck(f"about {lost}")


def _double_messages(scene: Scene, fault: PlannedFault) -> Struck:
    with redis.Redis.from_url(scene.system.valkey.url) as client:
        waiting = client.lrange(QUEUE, 0, MOST_DOUBLED - 1)
        assert isinstance(waiting, list)
        if not waiting:
            raise _none_waits(scene)
        client.rpush(QUEUE, *waiting)
    return Struck(f"{len(waiting)}")


def _damage_checkpoint(scene: Scene, fault: PlannedFault) -> Struck:
    """Flip a byte in a running job's checkpoint and kill its trainer, so that it is read."""
    key, pid = _picked(_newest_checkpoints(scene), fault)
    path = _picked(_filled_files(scene.system.artifacts / key), fault)
    _flip_a_byte(path)
    scene.damaged.add(key)
    for trainer in scene.system.all_trainers():
        if trainer.pid == pid:
            trainer.kill()
    return Struck(f"{key}/{path.name}")


def _pause(scene: Scene, fault: PlannedFault) -> Struck:
    wanted = scene.endings(Ending.SUCCEEDED)
    job = _picked([job for job in _jobs(scene, Status.RUNNING) if job in wanted], fault)
    scene.users.pause_and_resume(job, hold_seconds=fault.hold_seconds)
    return Struck(job)


def _change_priority(scene: Scene, fault: PlannedFault) -> Struck:
    queued = _jobs(scene, Status.QUEUED)
    if not queued:
        raise _none_waits(scene)
    job = _picked(queued, fault)
    scene.users.set_priority(job, int(fault.target * 10))
    return Struck(job)


def _cancel(scene: Scene, fault: PlannedFault) -> Struck:
    index = scene.to_cancel[0]
    if index >= len(scene.submitted):
        scene.submit_next()
        raise NoTargetError
    job = scene.submitted[index]
    if job.id is None:
        raise NoTargetError
    scene.to_cancel.pop(0)
    kill = job.plan.ending is Ending.KILLED
    scene.users.cancel(job.id, kill=kill)
    return Struck(f"{job.id}{', at once' if kill else ''}")


STRIKES: Mapping[Kind, Strike] = {
    Kind.TRAINER_KILLED: _kill_trainer,
    Kind.WORKER_KILLED: _kill_worker,
    Kind.ALL_WORKERS_KILLED: _kill_all_workers,
    Kind.WORKER_STOPPED: _stop_worker,
    Kind.WORKER_DRAINED: _drain_worker,
    Kind.API_KILLED: _kill_api,
    Kind.REDIS_KILLED: _kill_redis,
    Kind.REDIS_EMPTIED: _kill_redis,
    Kind.POSTGRES_KILLED: _kill_postgres,
    Kind.POSTGRES_AWAY: _kill_postgres,
    Kind.MESSAGES_LOST: _lose_messages,
    Kind.MESSAGES_DOUBLED: _double_messages,
    Kind.CHECKPOINT_DAMAGED: _damage_checkpoint,
    Kind.PAUSED: _pause,
    Kind.PRIORITY_CHANGED: _change_priority,
    Kind.CANCELLED: _cancel,
}


def _picked(things: Sequence[Thing], fault: PlannedFault) -> Thing:
    if not things:
        raise NoTargetError
    return things[int(fault.target * len(things))]


def _busy(scene: Scene, fault: PlannedFault) -> Workplace:
    """Select a worker that runs a trainer."""
    return _picked([place for place in scene.system.workplaces if place.trainers], fault)


def _none_waits(scene: Scene) -> NoTargetError:
    """Submit a job to keep one queued, if any is left."""
    scene.submit_next()
    return NoTargetError()


def _jobs(scene: Scene, status: Status) -> list[str]:
    with scene.system.database.session() as session:
        query = select(Job.id).where(Job.status == status).order_by(Job.id)
        return [encode("job", job_id) for job_id in session.scalars(query)]


def _newest_checkpoints(scene: Scene) -> list[tuple[str, int]]:
    """Return for each running job its newest checkpoint's key and its trainer's process id."""
    query = (
        select(Checkpoint.key, Attempt.pid)
        .join(Job, Job.id == Checkpoint.job_id)
        .join(Attempt, (Attempt.job_id == Job.id) & (Attempt.number == Job.attempt))
        .where(Job.status == Status.RUNNING, Attempt.pid.is_not(None), ~Checkpoint.final)
        .ext(distinct_on(Job.id))
        .order_by(Job.id, Checkpoint.step.desc(), Checkpoint.attempt.desc())
    )
    with scene.system.database.session() as session:
        return [(key, pid) for key, pid in session.execute(query) if pid is not None]


def _filled_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)


def _flip_a_byte(path: Path) -> None:
    """Flip a byte in the middle of a file."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
