"""A scope for objects outside projects, for the admin keys of the server's operator."""

from collections.abc import Sequence

from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


NAME = "ck_api_keys_scopes_known"


def upgrade() -> None:
    op.drop_constraint(op.f(NAME), "api_keys")
    op.create_check_constraint(
        op.f(NAME), "api_keys", "scopes <@ array['read', 'submit', 'admin', 'server']"
    )
    # Every admin key was the server's.  The operator made the first one, by `create-key`; all
    # projects but that one's came over HTTP, for others, and become admins of themselves alone.
    op.execute(
        """
        update api_keys set scopes = scopes || '{server}'::text[]
        where 'admin' = any (scopes) and project_id = (
            select project_id from api_keys where 'admin' = any (scopes)
            order by created_at, id limit 1
        )
        """
    )


def downgrade() -> None:
    op.execute("update api_keys set scopes = array_remove(scopes, 'server')")
    op.drop_constraint(op.f(NAME), "api_keys")
    op.create_check_constraint(op.f(NAME), "api_keys", "scopes <@ array['read', 'submit', 'admin']")
