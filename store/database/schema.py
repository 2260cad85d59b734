"""The database's schema: migration to this version, and its check."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.orm import Session

MIGRATIONS = Path(__file__).parents[2] / "migrations"


def migrate(url: str) -> None:
    """Apply the missing migrations; of several processes at once, one applies them."""
    config = _config()
    config.attributes["url"] = url
    command.upgrade(config, "head")


def at_head(session: Session) -> bool:
    """Whether the database has exactly this version's schema."""
    current = MigrationContext.configure(session.connection()).get_current_heads()
    return set(current) == _heads()


@cache
def _heads() -> set[str]:
    """Return this version's heads, cached because reading the migration files is slow."""
    return set(ScriptDirectory.from_config(_config()).get_heads())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
