"""The database's schema: bringing it to this version, and asking whether it is there."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.orm import Session

MIGRATIONS = Path(__file__).parents[1] / "migrations"


def migrate(url: str) -> None:
    """Apply what is missing; several processes may do so at once, one of them does it."""
    config = _config()
    config.attributes["url"] = url
    command.upgrade(config, "head")


def at_head(session: Session) -> bool:
    """Whether the database has exactly this version's schema."""
    current = MigrationContext.configure(session.connection()).get_current_heads()
    return set(current) == _heads()


@cache
def _heads() -> set[str]:
    """This version's: its files do not change while it runs, and reading them takes a while."""
    return set(ScriptDirectory.from_config(_config()).get_heads())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
