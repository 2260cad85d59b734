"""A secret may be sent as a key to one host."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0017"
down_revision: str | None = "0016"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("project_secrets", sa.Column("host", sa.Text))


def downgrade() -> None:
    op.drop_column("project_secrets", "host")
