"""Workers and queues, as the API shows them."""

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
    memory_bytes: int | None = Field(
        description="Null where nvidia-smi does not state it, as for memory shared with the "
        "processor."
    )


class WorkerView(View):
    """A worker process."""

    id: str
    host: str
    status: Literal["active", "draining", "gone"] = Field(
        description="`draining`: takes no more jobs and finishes the running ones."
    )
    queues: list[str] = Field(description="Queues whose jobs it takes.")
    slots: int = Field(description="How many jobs it can run at a time.")
    num_gpus: int
    gpus: list[GpuView] = Field(description="GPUs reported by nvidia-smi.")
    memory_bytes: int | None = Field(description="Total memory of its machine.")
    versions: dict[str, str] = Field(description="Versions of installed packages and of Python.")
    jobs: list[str] = Field(description="Your project's jobs that it is running.")
    num_other_jobs: int = Field(description="Number of other projects' jobs that it is running.")
    started_at: datetime
    last_seen_at: datetime
    draining_at: datetime | None = Field(description="When draining began.")
    blocked: str | None = Field(
        description="Why it takes no jobs although it is not draining: it cannot write their "
        "output, or use its GPUs."
    )
    leaves_when_empty: bool = Field(description="Whether it ends once it has drained.")
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
    """Every live worker, newest first."""

    data: list[WorkerView]
    next: None = None


class QueueView(View):
    """One queue, with the jobs of all projects."""

    name: str
    queued: int = Field(description="Queued jobs.")
    due: int = Field(
        description="Queued jobs not held back by `not_before` or a pause before a retry."
    )
    running: int
    oldest_wait_seconds: float | None = Field(
        description="Wait of the oldest due job; null if none is due."
    )
    workers: int = Field(description="Workers that serve the queue and are not draining.")
    slots: int = Field(description="Slots of these workers.")
    free_slots: int = Field(description="Free slots of these workers; other queues may share them.")
    wait_seconds: float | None = Field(
        description="Approximate wait of a new job: the jobs ahead of it, times the median "
        "duration of the queue's recent jobs, divided by its slots. Priorities, "
        "quotas and GPUs are not considered. Null: no worker serves the queue, or "
        "none of its jobs has succeeded yet."
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
    """Every queue that has queued or running jobs or a worker, by name."""

    data: list[QueueView]
    next: None = None
