"""Workers, queues and the server's readiness."""

from datetime import datetime

from duet.objects.answer import Answer


class Gpu(Answer):
    name: str
    memory_bytes: int | None = None


class Worker(Answer):
    id: str
    host: str
    status: str
    """`active`, `draining` (takes no more jobs) or `gone`."""
    queues: list[str]
    slots: int
    """Number of jobs that it can run at a time."""
    num_gpus: int
    gpus: list[Gpu]
    memory_bytes: int | None = None
    versions: dict[str, str]
    jobs: list[str]
    """Jobs of the key's project that it runs now."""
    num_other_jobs: int
    started_at: datetime
    last_seen_at: datetime
    draining_at: datetime | None = None
    blocked: str | None = None
    """Reason why the worker takes no jobs: output not writable, or GPUs not usable."""
    leaves_when_empty: bool
    gone_at: datetime | None = None


class JobQueue(Answer):
    """One queue, with the jobs of all projects."""

    name: str
    queued: int
    due: int
    """Queued jobs that are not delayed by `not_before` or after a failure."""
    running: int
    oldest_wait_seconds: float | None = None
    workers: int
    slots: int
    free_slots: int
    wait_seconds: float | None = None
    """Estimated wait of a job submitted now."""


class Readiness(Answer):
    """The server's readiness; `degraded` still accepts jobs, which workers find without Redis."""

    status: str
    checks: dict[str, str]
    problem: str | None = None
    """Reason why the check `migrations` failed."""
