"""Alembic's environment.  Migrations go forward only: to go back, restore a backup."""

from alembic import context
from sqlalchemy import text

from store.database.database import Database
from store.settings import DatabaseSettings
from store.tables import Base

# Any constant: concurrent migrations wait for one another here.
MIGRATION_LOCK = 7_215_064_001


def _url() -> str:
    """Return the address that bypasses a pooler, because the lock below is a session's."""
    settings = DatabaseSettings()  # pyright: ignore[reportCallIssue]
    return settings.database_direct_url or settings.database_url


def run_migrations() -> None:
    url = context.config.attributes.get("url")
    database = Database(url or _url())
    try:
        with database.engine.connect() as connection:
            connection.execute(text("select pg_advisory_lock(:lock)"), {"lock": MIGRATION_LOCK})
            connection.commit()
            # A migration's locks are released before the next begins, so that workers can continue.
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
