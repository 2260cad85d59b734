"""How Alembic reaches the database.  Migrations go forward only: the way back is a backup."""

from alembic import context
from sqlalchemy import text

from store.database import Database
from store.settings import DatabaseSettings
from store.tables import Base

# Any constant: processes that migrate at once wait for one another here.
MIGRATION_LOCK = 7_215_064_001


def _url() -> str:
    """Past a pooler: the lock below is a session's."""
    settings = DatabaseSettings()  # pyright: ignore[reportCallIssue]
    return settings.database_direct_url or settings.database_url


def run_migrations() -> None:
    url = context.config.attributes.get("url")
    database = Database(url or _url())
    try:
        with database.engine.connect() as connection:
            connection.execute(text("select pg_advisory_lock(:lock)"), {"lock": MIGRATION_LOCK})
            connection.commit()
            # What one migration has locked is free before the next begins: workers go on meanwhile.
            context.configure(
                connection=connection,
                target_metadata=Base.metadata,
                transaction_per_migration=True,
            )
            with context.begin_transaction():
                context.run_migrations()
            connection.commit()
            connection.execute(text("select pg_advisory_unlock(:lock)"), {"lock": MIGRATION_LOCK})
            connection.commit()
    finally:
        database.close()


run_migrations()
