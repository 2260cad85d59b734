"""Sweeps of a project are listed by an index."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0016"
down_revision: str | None = "0015"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_index(
        "ix_jobs_sweeps",
        "jobs",
        ["project_id", sa.text("(labels ->> 'sweep')"), "id"],
        postgresql_include=["status"],
        postgresql_where=sa.text("labels ->> 'sweep' ~ '^swp_[0-9a-f]{32}$'"),
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_sweeps", "jobs")
