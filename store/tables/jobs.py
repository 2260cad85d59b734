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

IN_A_SWEEP = "labels ->> 'sweep' ~ '^swp_[0-9a-f]{32}$'"
"""Condition on a job: its label `sweep` is a sweep's id."""


class Job(Base):
    """A submitted job and its state."""

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
            "queue",
            "gpus",
            "project_id",
            text("priority DESC"),
            "queued_at",
            "id",
            postgresql_include=["wanted"],  # so that positions are counted without the rows
            postgresql_where=text("status = 'queued' and not deferred"),
        ),
        Index(
            "ix_jobs_deferred",
            text("GREATEST(not_before, retry_at)"),
            postgresql_where=text("status = 'queued' and deferred"),
        ),
        Index("ix_jobs_model_source", text("((spec -> 'model') ->> 'source')")),
        Index("ix_jobs_running", "project_id", postgresql_where=text("status = 'running'")),
        # Pages of a list; with the name included, a text search does not read the rows.
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
        Index(
            "ix_jobs_sweeps",
            "project_id",
            text("(labels ->> 'sweep')"),
            "id",
            postgresql_include=["status"],
            postgresql_where=text(IN_A_SWEEP),
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
    """Resolved spec, independent of presets and defaults of later versions."""
    labels: Mapped[dict[str, Any]]

    status: Mapped[Status]
    wanted: Mapped[Wanted]
    status_reason: Mapped[str]
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """{code, message, hint, log_tail} of a failed job."""

    queue: Mapped[str]
    gpus: Mapped[int]
    """Minimum number of a worker's GPUs: 0 for `auto`, which fits any."""
    priority: Mapped[int]
    not_before: Mapped[datetime | None]
    """Earliest claim, set by the user."""
    retry_at: Mapped[datetime | None]
    """Earliest claim after a failure."""
    deferred: Mapped[bool] = mapped_column(server_default=false())
    """Whether the job is kept apart from the claimable ones: until `not_before` and `retry_at` have
    passed and `queue.take_in_due` has moved it."""
    retry_of: Mapped[UUID | None] = mapped_column(
        ForeignKey("jobs.id", ondelete="SET NULL"), index=True
    )
    """The ended job that this one retries."""
    start_checkpoint_id: Mapped[UUID | None] = mapped_column(
        ForeignKey(
            "checkpoints.id",
            name="fk_jobs_start_checkpoint_id",
            ondelete="SET NULL",
            use_alter=True,
        ),
        index=True,
    )
    """Another job's checkpoint, from which the first attempt continues."""
    traceparent: Mapped[str | None]
    """Trace context of the submitting request (`store.telemetry.tracing`)."""

    attempt: Mapped[int] = mapped_column(server_default="0")
    """Number of the attempt, 0 before the first claim: the fence, `where attempt = ...`, of every
    write by a worker."""
    failures: Mapped[int] = mapped_column(server_default="0")
    """Attempts lost or crashed since the last newly registered checkpoint."""
    worker_id: Mapped[UUID | None]
    lease_expires_at: Mapped[datetime | None]
    last_seq: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """The log's last `seq`; there is no gap in 1..last_seq until samples are thinned."""
    shipped: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """The greatest `n` of the current attempt's records in the log."""

    phase: Mapped[str | None]
    total_steps: Mapped[int | None]
    step: Mapped[int] = mapped_column(server_default="0")
    """The last live step."""
    latest_metrics: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))

    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    queued_at: Mapped[datetime] = mapped_column(server_default=func.now())
    """Start of the job's age in the queue: an attempt that ends early does not reset it, a pause
    does."""
    started_at: Mapped[datetime | None]
    """Time of the first claim."""
    finished_at: Mapped[datetime | None]
    thinned_at: Mapped[datetime | None]
    """Time at which most samples were removed from an ended job's log."""

    key: Mapped[ApiKey] = relationship()
    """The API key of the submission."""


SWEEP = literal_column("(jobs.labels ->> 'sweep')", Text)
"""A job's label `sweep` as its index writes it."""

MODEL_SOURCE = literal_column("(jobs.spec -> 'model' ->> 'source')", Text)
"""A job's `model.source` as its indexes write it: with parameters Postgres would not use them."""


class Attempt(Base):
    """One attempt of a worker at a job."""

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
    """Clock ticks from boot to the trainer's start (field 22 of /proc/PID/stat): with `boot_id`
    and `pid` they identify one process, whatever happens to the clock."""
    resumed_from_step: Mapped[int | None]
    """Step of the checkpoint resumed from; None: a fresh start."""
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    exit_code: Mapped[int | None]
    exit_signal: Mapped[int | None]
    gpus: Mapped[str | None]
    """Devices in the format of CUDA_VISIBLE_DEVICES; null: no GPU."""
    log_tail: Mapped[str | None]
    """Last lines of the trainer's log, after the attempt's end."""


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
    """Folder in the artifact store."""
    manifest: Mapped[dict[str, Any]]
    bytes: Mapped[int] = mapped_column(BigInteger)
    final: Mapped[bool]
    metric: Mapped[float | None] = mapped_column(Double)
    """Value of the spec's evaluation.metric at this step, if evaluated."""
    damaged_at: Mapped[datetime | None]
    """Time at which the files were found to differ from the manifest: not used for resumes."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
