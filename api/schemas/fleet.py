"""The workers and the queues, as the API shows them."""

from datetime import datetime
from typing import Literal, Self

from pydantic import Field

from api.schemas.base import View
from store import ids
from store.jobs.queue_stats import QueueState
from store.tables import Worker
from store.workers import Load


class GpuView(View):
    """One device of a worker."""

    name: str
    memory_bytes: int


class WorkerView(View):
    """A worker process."""

    id: str
    host: str
    status: Literal["active", "draining", "gone"] = Field(
        description="`draining`: it takes no more jobs and finishes what it runs."
    )
    queues: list[str] = Field(description="Whose jobs it takes.")
    slots: int = Field(description="How many jobs it can run at a time.")
    num_gpus: int
    gpus: list[GpuView] = Field(description="Those that nvidia-smi told of.")
    memory_bytes: int | None = Field(description="Of its machine.")
    versions: dict[str, str] = Field(description="By package, and of Python.")
    jobs: list[str] = Field(description="Your project's jobs that it runs now.")
    num_other_jobs: int = Field(description="Other projects' jobs that it runs now.")
    started_at: datetime
    last_seen_at: datetime
    draining_at: datetime | None = Field(description="Since when it drains.")
    blocked: str | None = Field(
        description="Why it takes no jobs though it does not drain: it cannot write what they make."
    )
    leaves_when_empty: bool = Field(description="It drains, and ends once it runs nothing.")
    gone_at: datetime | None = Field(description="When it ended, or was found to be silent.")

    @classmethod
    def of(cls, worker: Worker, load: Load) -> Self:
        return cls(
            id=ids.encode("work", worker.id),
            host=worker.host,
            status=_status(worker),
            queues=worker.queues,
            slots=worker.slots,
            num_gpus=worker.num_gpus,
            gpus=[GpuView.model_validate(gpu) for gpu in worker.gpus],
            memory_bytes=worker.memory_bytes,
            versions=worker.versions,
            jobs=[ids.encode("job", job_id) for job_id in load.own],
            num_other_jobs=load.num_others,
            started_at=worker.started_at,
            last_seen_at=worker.last_seen_at,
            draining_at=worker.draining_at,
            blocked=worker.blocked,
            leaves_when_empty=worker.leaves_when_empty,
            gone_at=worker.gone_at,
        )


def _status(worker: Worker) -> Literal["active", "draining", "gone"]:
    if worker.gone_at is not None:
        return "gone"
    return "active" if worker.draining_at is None else "draining"


class Workers(View):
    """Every worker that is there, the newest first."""

    data: list[WorkerView]
    next: None = None


class QueueView(View):
    """One queue, with everybody's jobs."""

    name: str
    queued: int = Field(description="Jobs that wait.")
    due: int = Field(description="Of these, not held back by `not_before` or after a failure.")
    running: int
    oldest_wait_seconds: float | None = Field(
        description="Of the job that is due for longest; null: none is."
    )
    workers: int = Field(description="That serve it and do not drain.")
    slots: int = Field(description="Of these workers.")
    free_slots: int = Field(description="Of these slots; other queues may share them.")
    wait_seconds: float | None = Field(
        description="About how long a job would wait that came now: the jobs before it, times the "
        "median duration of the queue's last jobs, over its slots. Priorities, quotas and GPUs "
        "are left out. Null: no worker serves it, or no job of it has succeeded yet."
    )

    @classmethod
    def of(cls, state: QueueState) -> Self:
        return cls(
            name=state.name,
            queued=state.num_queued,
            due=state.num_due,
            running=state.num_running,
            oldest_wait_seconds=state.oldest_wait_seconds,
            workers=state.num_workers,
            slots=state.num_slots,
            free_slots=state.num_free_slots,
            wait_seconds=state.wait_seconds,
        )


class Queues(View):
    """Every queue in which a job waits or runs, or which a worker serves, by name."""

    data: list[QueueView]
    next: None = None
