"""The database's schema: migration to this version, and checks of its owner and version."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.orm import Session

from store.database.database import Database
from store.errors import DatabaseUnusable

MIGRATIONS = Path(__file__).parents[2] / "migrations"
VERSION = re.compile(r"\d{4}")  # of every migration of Duet
OURS = ("projects", "attempts", "records")  # tables since the first migration
SHOWN_TABLES = 5
TABLES = text(
    """
    select relname from pg_class
    where relkind in ('r', 'p') and relnamespace = current_schema()::regnamespace
    and relname <> 'alembic_version' and not exists (
        select from pg_depend
        where classid = 'pg_class'::regclass and objid = pg_class.oid and deptype = 'e')
    order by relname"""
)
"""Selects the tables that do not belong to an extension."""


@dataclass(frozen=True)
class SchemaState:
    """A database's schema as this version sees it."""

    problem: str | None = None
    """The problem, without names from another application; None if it is this version's schema."""
    advice: str = ""
    can_migrate: bool = True
    foreign: bool = False
    """Whether the database is another application's."""

    def __str__(self) -> str:
        return f"{self.problem}: {self.advice}"


def migrate(url: str) -> None:
    """Apply the missing migrations; among concurrent processes, only one applies them.

    Raises:
        DatabaseUnusable: the schema is newer, or another application's.
    """
    database = Database(url)
    try:
        with database.session() as session:
            state = state_of(session)
    finally:
        database.close()
    if not state.can_migrate:
        raise DatabaseUnusable(str(state))
    config = _config()
    config.attributes["url"] = url
    command.upgrade(config, "head")


def state_of(session: Session) -> SchemaState:
    current = set(MigrationContext.configure(session.connection()).get_current_heads())
    tables = session.scalars(TABLES).all()
    if not current and tables:
        return _foreign(f"it has the tables {_some(tables)}")
    if not current:
        return SchemaState("the database has no tables yet", MIGRATE)
    found = ", ".join(sorted(current))
    if not set(OURS) <= set(tables):
        return _foreign(f"its migrations are at {found}, and it has none of Duet's tables")
    if current == _heads():
        return SchemaState()
    (head,) = _heads()
    if current <= _known():
        return SchemaState(
            f"the database's schema is {found}, but this version of Duet needs {head}", MIGRATE
        )
    if all(VERSION.fullmatch(each) and each > head for each in current - _known()):
        return SchemaState(
            f"the database's schema is {found}, newer than this version of Duet ({head})",
            "run the newer version, or restore the backup from before its migration",
            can_migrate=False,
        )
    return _foreign(f"its migrations are at {found}, which no version of Duet has")


MIGRATE = "run `python -m store migrate`"


def _foreign(found: str) -> SchemaState:
    return SchemaState(
        "the database belongs to another application",
        f"{found}; point DATABASE_URL to a database used only by Duet (`createdb --encoding=UTF8 "
        "--template=template0 duet`)",
        can_migrate=False,
        foreign=True,
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN_TABLES} more" if len(names) > SHOWN_TABLES else ""
    return ", ".join(names[:SHOWN_TABLES]) + more


@cache
def _heads() -> frozenset[str]:
    """Return this version's heads, cached because reading the migration files is slow."""
    return frozenset(ScriptDirectory.from_config(_config()).get_heads())


@cache
def _known() -> frozenset[str]:
    """All migrations up to this version's."""
    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    return frozenset(script.revision for script in scripts)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
