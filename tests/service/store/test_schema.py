"""The migrations and the tables say the same."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from duet.local.services.postgres import Postgres
from store.database.database import Database
from store.database.schema import SchemaState, migrate, state_of
from store.tables import Base
from tests.databases import copy_of
from tests.waiting import deadline

REPOSITORY = Path(__file__).parents[3]
FACTS = {
    "columns": """
        select table_name, column_name, udt_name, is_nullable, column_default
        from information_schema.columns where table_schema = 'public'
        and table_name <> 'alembic_version'""",
    "constraints": """
        select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint
        where connamespace = 'public'::regnamespace
        and conrelid::regclass::text <> 'alembic_version'""",
    "indexes": """
        select indexdef from pg_indexes where schemaname = 'public'
        and tablename <> 'alembic_version'""",
    "enums": """
        select typname, enumlabel, enumsortorder
        from pg_enum join pg_type on pg_type.oid = enumtypid""",
}


def facts(connection: Connection) -> dict[str, list[tuple]]:
    return {
        name: sorted(tuple(row) for row in connection.execute(text(query)))
        for name, query in FACTS.items()
    }


@pytest.fixture
def empty_url(postgres_server: Postgres) -> Iterator[str]:
    """A database without tables."""
    with copy_of(postgres_server, "template0") as url:
        yield url


def test_the_migrations_make_exactly_the_tables_of_the_code(empty_url: str):
    database = Database(empty_url)
    with database.engine.begin() as connection:
        Base.metadata.create_all(connection)
        of_the_code = facts(connection)
        connection.execute(text("drop schema public cascade; create schema public"))
    migrate(empty_url)
    with database.engine.connect() as connection:
        of_the_migrations = facts(connection)
    database.close()
    assert len(of_the_code["columns"]) > 80
    assert of_the_migrations == of_the_code


def test_servers_that_start_together_migrate_once(empty_url: str):
    command = [sys.executable, "-m", "store", "migrate"]
    env = {**os.environ, "DATABASE_URL": empty_url}
    starting = [subprocess.Popen(command, env=env, cwd=REPOSITORY) for _ in range(2)]
    assert [process.wait(deadline(60)) for process in starting] == [0, 0]
    database = Database(empty_url)
    with database.session() as session:
        assert state_of(session) == SchemaState()
    database.close()


def test_a_database_without_migrations_is_reported(empty_url: str):
    database = Database(empty_url)
    with database.session() as session:
        assert str(state_of(session)) == (
            "the database has no tables yet: run `python -m store migrate`"
        )
    database.close()


def test_a_dead_server_is_reported():
    assert not Database("postgresql://nobody@127.0.0.1:9/none").ping()


def test_postgres_ends_a_transaction_that_a_stopped_process_left_open(database: Database):
    with database.session() as session:
        held = session.scalar(text("show idle_in_transaction_session_timeout"))
    assert held == "10s"
