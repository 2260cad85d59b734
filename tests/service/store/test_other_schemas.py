"""A database of a newer version or of another application: named, and never written to."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from duet.local.services.postgres import Postgres
from store.database.database import Database
from store.database.schema import migrate, state_of
from store.database.start_check import end_unless_database_usable
from store.errors import DatabaseUnusable
from tests.databases import copy_of

VERSION_TABLE = "create table alembic_version (version_num text primary key)"
OTHERS = {
    "tables": ["create table users (id int)", "create table orders (id int)"],
    "a table of our name": ["create table jobs (id int)"],
    "another Alembic": [VERSION_TABLE, "insert into alembic_version values ('a1b2c3d4')"],
    "our numbers": [
        VERSION_TABLE,
        "insert into alembic_version values ('0003')",
        "create table t ()",
    ],
    "its newer numbers": [VERSION_TABLE, "insert into alembic_version values ('9999')"],
    "another branch": ["update alembic_version set version_num = '0009b'"],
    "two heads": ["insert into alembic_version values ('a1b2c3d4')"],
}
NEWER = "update alembic_version set version_num = '9998'"


@contextmanager
def changed(server: Postgres, source: str, *statements: str) -> Iterator[Database]:
    with copy_of(server, source) as url:
        database = Database(url)
        with database.session() as session:
            for statement in statements:
                session.execute(text(statement))
        yield database
        database.close()


@contextmanager
def migrated(server: Postgres, *statements: str) -> Iterator[Database]:
    with changed(server, "template0") as database:
        migrate(database.listen_url)
        with database.session() as session:
            for statement in statements:
                session.execute(text(statement))
        yield database


def tables(database: Database) -> list[str]:
    with database.session() as session:
        query = "select tablename from pg_tables where schemaname = 'public' order by 1"
        return list(session.scalars(text(query)))


@pytest.mark.parametrize("other", OTHERS)
def test_another_applications_database_is_left_alone(postgres_server: Postgres, other: str):
    statements = OTHERS[other]
    ours = not statements[0].startswith("create")
    made = (
        migrated(postgres_server, *statements)
        if ours
        else changed(postgres_server, "template0", *statements)
    )
    with made as database:
        before = tables(database)
        with pytest.raises(DatabaseUnusable, match="belongs to another application") as error:
            migrate(database.listen_url)
        assert "DATABASE_URL" in str(error.value)
        with pytest.raises(SystemExit, match="belongs to another application"):
            end_unless_database_usable(database)
        assert tables(database) == before
        with database.session() as session:
            problem = state_of(session).problem
        assert problem == "the database belongs to another application", "readiness names no table"


def test_a_newer_schema_is_named_and_not_migrated(
    postgres_server: Postgres, capfd: pytest.CaptureFixture[str]
):
    with migrated(postgres_server, NEWER) as database:
        with pytest.raises(DatabaseUnusable, match=r"schema is 9998, newer .* run the newer"):
            migrate(database.listen_url)
        # The old version goes on while the new one is rolled out: migrations only add.
        end_unless_database_usable(database)
        with database.session() as session:
            assert "schema is 9998, newer than this version" in (state_of(session).problem or "")


def test_an_older_schema_says_what_to_run(postgres_server: Postgres):
    with migrated(postgres_server, "update alembic_version set version_num = '0011'") as database:
        with database.session() as session:
            told = str(state_of(session))
        assert told.startswith("the database's schema is 0011, but this version of Duet needs 00")
        assert told.endswith("run `python -m store migrate`")
        end_unless_database_usable(database)


def test_an_extensions_tables_are_nobodys(postgres_server: Postgres):
    table = "create table of_an_extension (id int)"
    member = "alter extension plpgsql add table of_an_extension"
    with changed(postgres_server, "template0", table, member) as database:
        migrate(database.listen_url)


@pytest.mark.parametrize("module", ["store", "api", "worker"])
def test_the_processes_end_with_one_line(postgres_server: Postgres, tmp_path: Path, module: str):
    with changed(postgres_server, "template0", "create table users (id int)") as database:
        addresses = {
            "DATABASE_URL": database.listen_url,
            "REDIS_URL": "redis://127.0.0.1:9/0",
            "ARTIFACTS_URL": tmp_path.as_uri(),
        }
        done = subprocess.run(
            [sys.executable, "-m", module, *(["migrate"] if module == "store" else [])],
            env={**os.environ, **addresses},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert (
        "the database belongs to another application: it has the tables users; point DATABASE"
        in last
    )
    assert "Traceback" not in done.stderr
