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
    """A queued job's position and the reason for its wait."""

    position: int | None = None
    """Position from 1; None: behind the first thousand."""
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
    """A job's failure: a stable code, a message, a hint, and the last lines of its log."""

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
    """The state that its user wants: `run`, `pause`, `cancel` or `kill`."""
    status_reason: str
    spec: dict[str, Any]
    """The resolved spec: defaults < preset < yours."""
    attempt: int
    """Number of the current or last attempt; 0: none yet."""
    attempts: int
    """Number of attempts so far."""
    failures: int
    """Attempts lost or crashed since the last checkpoint."""
    phase: str | None = None
    """Current phase of a running job."""
    progress: Progress
    latest_metrics: dict[str, float | None]
    last_seq: int
    """Number of its log's last record: `jobs.stream(id, after=last_seq)` yields the next ones."""
    error: JobError | None = None
    queue: Queue | None = None
    """Queue position and reason for the wait; None unless queued."""
    owner: str
    """Name of the key that submitted it."""
    timeline: list[Moment]
    labels: dict[str, str]
    retry_of: str | None = None
    start_checkpoint: str | None = None
    ran_seconds: float = 0.0
    """Total run time of its ended attempts, without the queue and pauses."""
    running_since: datetime | None = None
    """Start of the running attempt, whose time is not in `ran_seconds` yet."""
    trace_id: str | None = None
    """Id of the W3C trace that the job belongs to."""
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    thinned_at: datetime | None = None
    """Time at which most samples were removed from the log, long after the job's end."""

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL


class AttemptError(Answer):
    """The error that ended an attempt."""

    code: str
    message: str
    hint: str | None = None


class Attempt(Answer):
    """One attempt at a job by one worker."""

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
