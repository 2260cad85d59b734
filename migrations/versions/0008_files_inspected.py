"""Files have a status, and their first rows in the database.

Existing files are inspected again, in the background, for their first rows.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("files", sa.Column("status", sa.Text(), nullable=False, server_default="ready"))
    op.add_column(
        "files",
        sa.Column("problems", sa.ARRAY(sa.Text()), nullable=False, server_default=sa.text("'{}'")),
    )
    op.add_column(
        "files",
        sa.Column("head", sa.LargeBinary(), nullable=False, server_default=sa.text("''")),
    )
    op.add_column(
        "files",
        sa.Column("num_inspections", sa.Integer(), nullable=False, server_default=sa.text("0")),
    )
    op.add_column("files", sa.Column("inspection_began_at", sa.DateTime(timezone=True)))
    op.alter_column("files", "num_rows", nullable=True)
    op.execute("update files set status = 'processing'")
    op.create_check_constraint(
        op.f("ck_files_status"), "files", "status IN ('processing', 'ready', 'failed')"
    )
    op.create_index(
        "ix_files_processing", "files", ["id"], postgresql_where=sa.text("status = 'processing'")
    )


def downgrade() -> None:
    op.drop_index("ix_files_processing", "files")
    op.drop_constraint(op.f("ck_files_status"), "files", type_="check")
    op.execute("delete from files where num_rows is null")
    op.alter_column("files", "num_rows", nullable=False)
    for name in ("inspection_began_at", "num_inspections", "head", "problems", "status"):
        op.drop_column("files", name)
