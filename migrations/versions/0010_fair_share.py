"""A project's share of the workers, and when it had its last turn."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("projects", sa.Column("weight", sa.Integer(), server_default="1", nullable=False))
    op.create_check_constraint(
        op.f("ck_projects_weight_bounded"), "projects", "weight between 1 and 1000"
    )
    op.create_table(
        "project_turns",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_project_turns_project_id"
        ),
        sa.PrimaryKeyConstraint("project_id", name="pk_project_turns"),
    )


def downgrade() -> None:
    op.drop_table("project_turns")
    op.drop_column("projects", "weight")
