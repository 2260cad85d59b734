"""What the server answers with, as far as the client reads it; fields it does not know are left."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

TERMINAL = frozenset({"succeeded", "failed", "cancelled"})


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Progress(Answer):
    step: int | None = None
    total_steps: int | None = None


class Queue(Answer):
    position: int | None
    waiting_for: str
    since: datetime

    @property
    def place(self) -> str:
        return "far back" if self.position is None else f"#{self.position}"


class Moment(Answer):
    """One change of a job's status."""

    status: str
    at: datetime
    reason: str


class JobError(Answer):
    """Why a job failed: a stable code, a sentence, what to do, the last lines of its log."""

    code: str
    message: str
    hint: str | None = None
    log_tail: str | list[str] | None = None

    @property
    def log_lines(self) -> list[str]:
        tail = self.log_tail or []
        return tail.splitlines() if isinstance(tail, str) else tail


class Job(Answer):
    id: str
    name: str
    status: str
    status_reason: str | None = None
    spec: dict[str, Any]
    attempt: int
    phase: str | None = None
    progress: Progress = Progress()
    latest_metrics: dict[str, float | None] | None = None
    queue: Queue | None = None
    error: JobError | None = None
    timeline: list[Moment] = []
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL


class SweepJob(Answer):
    id: str
    name: str


class Sweep(Answer):
    """Jobs that were submitted together, and differ in some fields."""

    id: str
    jobs: list[SweepJob]


class Attempt(Answer):
    """One worker's try at a job."""

    attempt: int
    worker: str
    host: str
    gpus: list[str] = []
    started_at: datetime
    ended_at: datetime | None = None
    outcome: str | None = None
    exit_code: int | None = None
    exit_signal: str | None = None
    error: JobError | None = None
    log_tail: str | None = None
    resumed_from_step: int | None = None


class Gpu(Answer):
    name: str
    memory_bytes: int


class Worker(Answer):
    id: str
    host: str
    status: str
    queues: list[str]
    slots: int
    num_gpus: int
    gpus: list[Gpu]
    memory_bytes: int | None
    versions: dict[str, str]
    jobs: list[str]
    num_other_jobs: int
    last_seen_at: datetime
    draining_at: datetime | None
    leaves_when_empty: bool


class Record(Answer):
    """One entry of a job's log."""

    seq: int
    kind: str
    step: int | None = None
    attempt: int | None = None
    at: datetime
    payload: dict[str, Any]


class File(Answer):
    id: str
    name: str
    bytes: int
    num_rows: int | None = None


class Checkpoint(Answer):
    id: str
    step: int
    bytes: int
    final: bool = False


class CheckpointFile(Answer):
    path: str
    bytes: int
    sha256: str


class Webhook(Answer):
    id: str
    url: str
    events: list[str]
    disabled_reason: str | None = None
    secret: str | None = None
    """Only when it is new."""


class WebhookTest(Answer):
    """How a receiver took a test event; `error` is None when it did."""

    status_code: int | None = None
    error: str | None = None
    seconds: float


class Delivery(Answer):
    id: str
    event: str
    status: str
    tries: int
    error: str | None = None
