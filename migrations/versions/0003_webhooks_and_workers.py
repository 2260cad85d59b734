"""Webhooks, the fleet's view, details of attempts, thinning of old logs and a bounded cost of
claims."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    _create_webhooks()
    _create_deliveries()
    op.add_column("jobs", sa.Column("thinned_at", sa.DateTime(timezone=True)))
    op.create_index(
        "ix_jobs_unthinned",
        "jobs",
        ["finished_at"],
        postgresql_where=sa.text("finished_at is not null and thinned_at is null"),
    )
    op.create_index("ix_jobs_status_finished_at", "jobs", ["status", "finished_at"])
    op.create_index("ix_attempts_outcome", "attempts", ["outcome"])
    op.add_column("attempts", sa.Column("gpus", sa.Text()))
    op.add_column("attempts", sa.Column("log_tail", sa.Text()))
    op.add_column(
        "workers",
        sa.Column("gpus", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
    )
    op.add_column("workers", sa.Column("memory_bytes", sa.BigInteger()))
    op.add_column(
        "workers",
        sa.Column("versions", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
    )
    op.add_column("workers", sa.Column("draining_at", sa.DateTime(timezone=True)))
    op.add_column(
        "workers",
        sa.Column(
            "leaves_when_empty", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
    )
    op.create_index("ix_jobs_model_source", "jobs", [sa.text("((spec -> 'model') ->> 'source')")])
    _divide_the_queue()


def _divide_the_queue() -> None:
    op.add_column(
        "jobs", sa.Column("deferred", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.execute(
        "update jobs set deferred = true "
        "where status = 'queued' and greatest(not_before, retry_at) > now()"
    )
    op.create_check_constraint(
        op.f("ck_jobs_deferred_until"),
        "jobs",
        "not deferred or not_before is not null or retry_at is not null",
    )
    op.drop_index("ix_jobs_queue", "jobs")
    op.create_index(
        "ix_jobs_queue",
        "jobs",
        ["project_id", "deferred", "queue", "gpus", sa.text("priority DESC"), "queued_at", "id"],
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.create_index(
        "ix_jobs_deferred",
        "jobs",
        [sa.text("GREATEST(not_before, retry_at)")],
        postgresql_where=sa.text("status = 'queued' and deferred"),
    )
    # A claim reads past the index entries of the jobs that have left the queue until a vacuum
    # removes them: by default that would wait for a fifth of the table.
    op.execute(
        "alter table jobs set "
        "(autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000)"
    )


def _create_webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("events", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("old_secret", sa.Text()),
        sa.Column("old_secret_until", sa.DateTime(timezone=True)),
        sa.Column("disabled_at", sa.DateTime(timezone=True)),
        sa.Column("disabled_reason", sa.Text()),
        sa.Column("failing_since", sa.DateTime(timezone=True)),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.CheckConstraint(
            "(disabled_at is null) = (disabled_reason is null)",
            name=op.f("ck_webhooks_disabled_says_why"),
        ),
        sa.CheckConstraint(
            "(old_secret is null) = (old_secret_until is null)",
            name=op.f("ck_webhooks_old_secret_ends"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_webhooks_project_id")
        ),
        sa.ForeignKeyConstraint(
            ["created_by"], ["api_keys.id"], name=op.f("fk_webhooks_created_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_index("ix_webhooks_project_id_id", "webhooks", ["project_id", "id"])


def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(), nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), server_default=sa.func.now()),
        sa.Column("tried_at", sa.DateTime(timezone=True)),
        sa.Column("delivered_at", sa.DateTime(timezone=True)),
        sa.Column("status_code", sa.Integer()),
        sa.Column("error", sa.Text()),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.CheckConstraint(
            "delivered_at is null or next_try_at is null",
            name=op.f("ck_deliveries_delivered_once"),
        ),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["webhooks.id"],
            name=op.f("fk_deliveries_webhook_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
    )
    op.create_index("ix_deliveries_webhook_id_id", "deliveries", ["webhook_id", "id"])
    op.create_index(
        "ix_deliveries_due",
        "deliveries",
        ["webhook_id", "next_try_at"],
        postgresql_where=sa.text("next_try_at is not null"),
    )


def downgrade() -> None:
    op.execute(
        "alter table jobs reset (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold)"
    )
    op.drop_index("ix_jobs_model_source", "jobs")
    op.drop_index("ix_jobs_deferred", "jobs")
    op.drop_index("ix_jobs_queue", "jobs")
    op.create_index(
        "ix_jobs_queue",
        "jobs",
        ["project_id", "queue", sa.text("priority DESC"), "queued_at", "id"],
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.drop_constraint(op.f("ck_jobs_deferred_until"), "jobs")
    op.drop_column("jobs", "deferred")
    for column in ("leaves_when_empty", "draining_at", "versions", "memory_bytes", "gpus"):
        op.drop_column("workers", column)
    op.drop_index("ix_attempts_outcome", "attempts")
    op.drop_index("ix_jobs_status_finished_at", "jobs")
    for column in ("log_tail", "gpus"):
        op.drop_column("attempts", column)
    op.drop_index("ix_jobs_unthinned", "jobs")
    op.drop_column("jobs", "thinned_at")
    op.drop_table("deliveries")
    op.drop_table("webhooks")
