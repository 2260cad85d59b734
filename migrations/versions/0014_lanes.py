"""The queue's index begins with what a worker can run, its queues and GPUs."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    _make_anew(["queue", "gpus", "project_id"], where="status = 'queued' and not deferred")


def downgrade() -> None:
    _make_anew(["project_id", "deferred", "queue", "gpus"], where="status = 'queued'")


def _make_anew(lane: list[str], *, where: str) -> None:
    op.drop_index("ix_jobs_queue", "jobs")
    op.create_index(
        "ix_jobs_queue",
        "jobs",
        [*lane, sa.text("priority DESC"), "queued_at", "id"],
        postgresql_include=["wanted"],
        postgresql_where=sa.text(where),
    )
