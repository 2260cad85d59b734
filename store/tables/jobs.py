"""A job, its attempts, its log and its checkpoints."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    Text,
    UniqueConstraint,
    false,
    func,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from store.states import Status, Wanted
from store.tables.access import ApiKey
from store.tables.base import Base


class Job(Base):
    """What a user submitted, and where it stands."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(
            "status in ('queued', 'running', 'paused', 'succeeded', 'failed', 'cancelled')",
            name="status_known",
        ),
        CheckConstraint("(status = 'running') = (lease_expires_at is not null)", name="lease"),
        CheckConstraint(
            "(status in ('succeeded', 'failed', 'cancelled')) = (finished_at is not null)",
            name="finished",
        ),
        CheckConstraint("(status = 'failed') = (error is not null)", name="failed_says_why"),
        CheckConstraint(
            "attempt >= 0 and failures >= 0 and last_seq >= 0 and shipped >= 0", name="counts"
        ),
        CheckConstraint(
            "not deferred or not_before is not null or retry_at is not null",
            name="deferred_until",
        ),
        Index(
            "ix_jobs_queue",
            "project_id",
            "deferred",
            "queue",
            "gpus",
            text("priority DESC"),
            "queued_at",
            "id",
            postgresql_include=["wanted"],  # so that places are counted without the rows
            postgresql_where=text("status = 'queued'"),
        ),
        Index(
            "ix_jobs_deferred",
            text("GREATEST(not_before, retry_at)"),
            postgresql_where=text("status = 'queued' and deferred"),
        ),
        Index("ix_jobs_model_source", text("((spec -> 'model') ->> 'source')")),
        Index("ix_jobs_running", "project_id", postgresql_where=text("status = 'running'")),
        # The pages of a list; with the name, text is looked for without a look at the rows.
        Index("ix_jobs_project_id_id", "project_id", "id", postgresql_include=["name"]),
        Index("ix_jobs_project_id_name_id", "project_id", "name", "id"),
        Index("ix_jobs_project_id_status_id", "project_id", "status", "id"),
        Index(
            "ix_jobs_project_id_model_id",
            "project_id",
            text("((spec -> 'model') ->> 'source')"),
            "id",
        ),
        Index(
            "ix_jobs_labels",
            "labels",
            postgresql_using="gin",
            postgresql_ops={"labels": "jsonb_path_ops"},
        ),
        Index("ix_jobs_status_finished_at", "status", "finished_at"),
        Index(
            "ix_jobs_unthinned",
            "finished_at",
            postgresql_where=text("finished_at is not null and thinned_at is null"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    created_by: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id"))
    name: Mapped[str]
    spec: Mapped[dict[str, Any]]
    """Resolved: nothing in it depends on presets or defaults of a later version."""
    labels: Mapped[dict[str, Any]]

    status: Mapped[Status]
    wanted: Mapped[Wanted]
    status_reason: Mapped[str]
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """{code, message, hint, log_tail} of a failed job."""

    queue: Mapped[str]
    gpus: Mapped[int]
    """GPUs that a worker must have at least: 0 for `auto`, which fits any."""
    priority: Mapped[int]
    not_before: Mapped[datetime | None]
    """The user's: it is not claimed earlier."""
    retry_at: Mapped[datetime | None]
    """After a failure: it is not claimed earlier."""
    deferred: Mapped[bool] = mapped_column(server_default=false())
    """Kept apart from the jobs that may be claimed until `not_before` and `retry_at` are over and
    `queue.take_in_due` has seen it."""
    retry_of: Mapped[UUID | None] = mapped_column(
        ForeignKey("jobs.id", ondelete="SET NULL"), index=True
    )
    """The ended job that this one takes up again."""
    start_checkpoint_id: Mapped[UUID | None] = mapped_column(
        ForeignKey(
            "checkpoints.id",
            name="fk_jobs_start_checkpoint_id",
            ondelete="SET NULL",
            use_alter=True,
        ),
        index=True,
    )
    """Where its first attempt continues from: another job's checkpoint."""
    traceparent: Mapped[str | None]
    """The place in a trace of the request that submitted it (`store.telemetry.trace`)."""

    attempt: Mapped[int] = mapped_column(server_default="0")
    """The fence: every write of a worker says `where attempt = ...`.  0 before the first claim."""
    failures: Mapped[int] = mapped_column(server_default="0")
    """Attempts lost or crashed since the last newly registered checkpoint."""
    worker_id: Mapped[UUID | None]
    lease_expires_at: Mapped[datetime | None]
    last_seq: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """Of the log's last record: it has 1..last_seq without a gap, until its samples are thinned."""
    shipped: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """The greatest `n` of the present attempt's records that is in the log."""

    phase: Mapped[str | None]
    total_steps: Mapped[int | None]
    step: Mapped[int] = mapped_column(server_default="0")
    """The last live step."""
    latest_metrics: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))

    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    queued_at: Mapped[datetime] = mapped_column(server_default=func.now())
    """Its age in the queue counts from here: an attempt that ends early costs it no place, a pause
    does."""
    started_at: Mapped[datetime | None]
    """The first claim."""
    finished_at: Mapped[datetime | None]
    thinned_at: Mapped[datetime | None]
    """When most samples were removed from an ended job's log."""

    key: Mapped[ApiKey] = relationship()
    """Who submitted it."""


MODEL_SOURCE = literal_column("(jobs.spec -> 'model' ->> 'source')", Text)
"""A job's `model.source` in the words of its indexes: by parameters Postgres would not know it."""


class Attempt(Base):
    """One worker's try at a job."""

    __tablename__ = "attempts"
    __table_args__ = (
        CheckConstraint(
            "outcome in ('completed', 'stopped', 'failed', 'lost')", name="outcome_known"
        ),
        CheckConstraint("(ended_at is null) = (outcome is null)", name="ended"),
        Index("ix_attempts_outcome", "outcome"),
        Index("ix_attempts_host", "host", "boot_id", postgresql_where=text("pid is not null")),
    )

    job_id: Mapped[UUID] = mapped_column(
        ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True)
    worker_id: Mapped[UUID]
    host: Mapped[str]
    boot_id: Mapped[str]
    pid: Mapped[int | None]
    process_started_at: Mapped[int | None] = mapped_column(BigInteger)
    """Clock ticks from boot to the child's start (field 22 of /proc/PID/stat): with `boot_id`
    and `pid` it names one process, and no adjustment of a clock changes it."""
    resumed_from_step: Mapped[int | None]
    """None: a fresh start."""
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    exit_code: Mapped[int | None]
    exit_signal: Mapped[int | None]
    gpus: Mapped[str | None]
    """What it was given, as CUDA_VISIBLE_DEVICES says it; null: no GPU."""
    log_tail: Mapped[str | None]
    """The last lines of its trainer's log, once it has ended."""


class Record(Base):
    """One entry of a job's log."""

    __tablename__ = "records"
    __table_args__ = (Index("ix_records_job_id_kind_step", "job_id", "kind", "step"),)

    job_id: Mapped[UUID] = mapped_column(
        ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    attempt: Mapped[int]
    kind: Mapped[str]
    step: Mapped[int | None]
    payload: Mapped[dict[str, Any]]
    at: Mapped[datetime]


class Checkpoint(Base):
    """A checkpoint whose files are in the artifact store, verified."""

    __tablename__ = "checkpoints"
    __table_args__ = (UniqueConstraint("job_id", "attempt", "step"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    step: Mapped[int]
    key: Mapped[str]
    """Its folder in the artifact store."""
    manifest: Mapped[dict[str, Any]]
    bytes: Mapped[int] = mapped_column(BigInteger)
    final: Mapped[bool]
    metric: Mapped[float | None] = mapped_column(Double)
    """The value of the spec's evaluation.metric at this step, if it was evaluated."""
    damaged_at: Mapped[datetime | None]
    """When its files were found not to be what its manifest says: it is not resumed from."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
