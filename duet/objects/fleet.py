"""Who works, what waits, and whether the server is well."""

from datetime import datetime

from duet.objects.answer import Answer


class Gpu(Answer):
    name: str
    memory_bytes: int


class Worker(Answer):
    id: str
    host: str
    status: str
    """`active`, `draining` (takes no more jobs) or `gone`."""
    queues: list[str]
    slots: int
    """How many jobs it can run at a time."""
    num_gpus: int
    gpus: list[Gpu]
    memory_bytes: int | None = None
    versions: dict[str, str]
    jobs: list[str]
    """Your project's jobs that it runs now."""
    num_other_jobs: int
    started_at: datetime
    last_seen_at: datetime
    draining_at: datetime | None = None
    blocked: str | None = None
    """Why it takes no jobs: it cannot write what they make."""
    leaves_when_empty: bool
    gone_at: datetime | None = None


class JobQueue(Answer):
    """One queue, with everybody's jobs."""

    name: str
    queued: int
    due: int
    """Of the queued ones, not held back by `not_before` or after a failure."""
    running: int
    oldest_wait_seconds: float | None = None
    workers: int
    slots: int
    free_slots: int
    wait_seconds: float | None = None
    """About how long a job would wait that came now."""


class Readiness(Answer):
    """`degraded` is ready: jobs are taken, and found by the workers without Redis."""

    status: str
    checks: dict[str, str]
