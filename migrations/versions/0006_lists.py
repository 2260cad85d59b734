"""Indexes for the pages of the list of jobs, and for queue positions."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


QUEUE = ["project_id", "deferred", "queue", "gpus", sa.text("priority DESC"), "queued_at", "id"]
QUEUED = sa.text("status = 'queued'")


def upgrade() -> None:
    op.drop_index("ix_jobs_queue", "jobs")
    op.create_index(
        "ix_jobs_queue", "jobs", QUEUE, postgresql_include=["wanted"], postgresql_where=QUEUED
    )
    op.drop_index("ix_jobs_project_id_id", "jobs")
    op.create_index(
        "ix_jobs_project_id_id", "jobs", ["project_id", "id"], postgresql_include=["name"]
    )
    op.create_index("ix_jobs_project_id_name_id", "jobs", ["project_id", "name", "id"])
    op.create_index("ix_jobs_project_id_status_id", "jobs", ["project_id", "status", "id"])
    source = sa.text("((spec -> 'model') ->> 'source')")
    op.create_index("ix_jobs_project_id_model_id", "jobs", ["project_id", source, "id"])
    op.create_index(
        "ix_jobs_labels",
        "jobs",
        ["labels"],
        postgresql_using="gin",
        postgresql_ops={"labels": "jsonb_path_ops"},
    )


def downgrade() -> None:
    for name in ("labels", "project_id_model_id", "project_id_status_id", "project_id_name_id"):
        op.drop_index(f"ix_jobs_{name}", "jobs")
    op.drop_index("ix_jobs_project_id_id", "jobs")
    op.create_index("ix_jobs_project_id_id", "jobs", ["project_id", "id"])
    op.drop_index("ix_jobs_queue", "jobs")
    op.create_index("ix_jobs_queue", "jobs", QUEUE, postgresql_where=QUEUED)
