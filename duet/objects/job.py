"""Jobs, and the attempts at them."""

from datetime import datetime
from typing import Any

from duet.objects.answer import Answer

TERMINAL = frozenset({"succeeded", "failed", "cancelled"})


class Progress(Answer):
    step: int = 0
    total_steps: int | None = None
    fraction: float | None = None
    seconds_left: float | None = None


class Queue(Answer):
    """Why a job still waits."""

    position: int | None = None
    """From 1; None: behind the first thousand."""
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
    log_tail: str | None = None


class Job(Answer):
    id: str
    name: str
    status: str
    """`queued`, `running`, `paused`, `succeeded`, `failed` or `cancelled`."""
    wanted: str
    """What its user asked for: `run`, `pause`, `cancel` or `kill`."""
    status_reason: str
    spec: dict[str, Any]
    """The resolved spec: defaults < preset < yours."""
    attempt: int
    """Number of the current or last attempt; 0: not yet begun."""
    attempts: int
    """How many there have been."""
    failures: int
    """Attempts lost or crashed since the last checkpoint."""
    phase: str | None = None
    """What a running job does now."""
    progress: Progress
    latest_metrics: dict[str, float | None]
    last_seq: int
    """Of its log's last record: `jobs.stream(id, after=last_seq)` tells what comes next."""
    error: JobError | None = None
    queue: Queue | None = None
    """Why it still waits; None unless queued."""
    owner: str
    """Name of the key that submitted it."""
    timeline: list[Moment]
    labels: dict[str, str]
    retry_of: str | None = None
    start_checkpoint: str | None = None
    ran_seconds: float = 0.0
    """Run time of the attempts that have ended, summed: neither the queue nor a pause."""
    running_since: datetime | None = None
    """Start of the attempt that runs now; its time comes on top of `ran_seconds`."""
    trace_id: str | None = None
    """Of the W3C trace that the job belongs to."""
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    thinned_at: datetime | None = None
    """When most samples were removed from its log, long after its end."""

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL


class AttemptError(Answer):
    """What an attempt failed by."""

    code: str
    message: str
    hint: str | None = None


class Attempt(Answer):
    """One worker's try at a job."""

    attempt: int
    worker: str
    host: str
    gpus: list[str]
    started_at: datetime
    ended_at: datetime | None = None
    outcome: str | None = None
    """`completed`, `stopped`, `failed` or `lost`; None while it runs."""
    exit_code: int | None = None
    exit_signal: str | None = None
    error: AttemptError | None = None
    log_tail: str | None = None
    resumed_from_step: int | None = None
