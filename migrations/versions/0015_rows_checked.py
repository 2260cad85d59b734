"""Progress of the background inspection of a file."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0015"
down_revision: str | None = "0014"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("files", sa.Column("num_rows_checked", sa.Integer()))


def downgrade() -> None:
    op.drop_column("files", "num_rows_checked")
