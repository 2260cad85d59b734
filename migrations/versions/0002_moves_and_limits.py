"""Retries, schedules, quotas and retention."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("projects", sa.Column("max_running", sa.Integer()))
    op.add_column("projects", sa.Column("max_queued", sa.Integer()))
    op.add_column("jobs", sa.Column("not_before", sa.DateTime(timezone=True)))
    op.add_column("jobs", sa.Column("retry_at", sa.DateTime(timezone=True)))
    op.add_column("jobs", sa.Column("retry_of", sa.Uuid()))
    op.add_column("jobs", sa.Column("start_checkpoint_id", sa.Uuid()))
    op.create_foreign_key(
        "fk_jobs_retry_of", "jobs", "jobs", ["retry_of"], ["id"], ondelete="SET NULL"
    )
    op.create_foreign_key(
        "fk_jobs_start_checkpoint_id",
        "jobs",
        "checkpoints",
        ["start_checkpoint_id"],
        ["id"],
        ondelete="SET NULL",
    )
    op.create_index(op.f("ix_jobs_retry_of"), "jobs", ["retry_of"])
    op.create_index(op.f("ix_jobs_start_checkpoint_id"), "jobs", ["start_checkpoint_id"])
    op.drop_index("ix_jobs_queue", "jobs")
    op.create_index(
        "ix_jobs_queue",
        "jobs",
        ["project_id", "queue", sa.text("priority DESC"), "queued_at", "id"],
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.add_column("checkpoints", sa.Column("metric", sa.Double()))
    op.add_column("checkpoints", sa.Column("damaged_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("checkpoints", "damaged_at")
    op.drop_column("checkpoints", "metric")
    op.drop_index("ix_jobs_queue", "jobs")
    op.create_index(
        "ix_jobs_queue",
        "jobs",
        ["priority", "queued_at"],
        postgresql_where=sa.text("status = 'queued'"),
    )
    for index in ("ix_jobs_start_checkpoint_id", "ix_jobs_retry_of"):
        op.drop_index(op.f(index), "jobs")
    for constraint in ("fk_jobs_start_checkpoint_id", "fk_jobs_retry_of"):
        op.drop_constraint(constraint, "jobs")
    for column in ("start_checkpoint_id", "retry_of", "retry_at", "not_before"):
        op.drop_column("jobs", column)
    op.drop_column("projects", "max_queued")
    op.drop_column("projects", "max_running")
