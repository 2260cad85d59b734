"""Connections that Postgres has ended, and servers that refuse writes."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from duet.local.services.postgres import Postgres
from store.database.database import Database
from store.errors import DatabaseUnusable
from tests.waiting import deadline


def outstay(database: Database, session: Session) -> None:
    """Act like a process suspended in a transaction: let Postgres end its session."""
    session.execute(text("set local idle_in_transaction_session_timeout = 50"))
    pid = session.scalar(text("select pg_backend_pid()"))
    there = text("select 1 from pg_stat_activity where pid = :pid")
    latest = time.monotonic() + deadline(10)
    with database.session() as other:
        while other.execute(there, {"pid": pid}).first():
            assert time.monotonic() < latest, "Postgres does not end the session"
            time.sleep(0.02)
            other.execute(text("select pg_stat_clear_snapshot()"))


def test_a_refused_statement_counts_as_an_outage(database: Database):
    with database.session() as session:
        outstay(database, session)
        with pytest.raises(OperationalError):
            session.execute(text("select 1"))
        session.rollback()
    assert database.ping()


def test_a_refused_commit_counts_as_an_outage(database: Database):
    with pytest.raises(OperationalError), database.session() as session:
        outstay(database, session)
    assert database.ping()


def test_an_idle_connection_that_ended_is_not_an_outage(database: Database):
    with database.session() as session:
        pid = session.scalar(text("select pg_backend_pid()"))
    with psycopg.connect(database.listen_url, autocommit=True) as other:
        other.execute("select pg_terminate_backend(%s, 10000)", [pid])
    with database.autocommit() as session:
        assert session.scalar(text("select pg_backend_pid()")) != pid


def pid_of(database: Database) -> int | None:
    with database.session() as session:
        return session.scalar(text("select pg_backend_pid()"))


@pytest.mark.parametrize("code", ["25006", "57P01", "57P02", "57P03", "53300"])
def test_every_error_of_an_unavailable_postgres_has_one_type(database: Database, code: str):
    before = pid_of(database)
    raised = text(f"do $$ begin raise exception using errcode = '{code}'; end $$")
    with pytest.raises(OperationalError), database.session() as session:
        session.execute(raised)
    assert pid_of(database) != before


def test_connections_to_a_new_standby_are_dropped(database: Database):
    """Old sessions stay connected and refuse writes; new ones find the new primary."""
    with database.engine.connect() as one, database.engine.connect() as other:
        for connection in (one, other):
            connection.execute(text("set session default_transaction_read_only = on"))
            connection.commit()
    write = text("create table mark (n int)")
    with pytest.raises(OperationalError), database.session() as session:
        session.execute(write)
    with database.session() as session:
        session.execute(write)


def test_a_server_that_refuses_writes_is_known_without_one(database: Database):
    with database.session() as session:
        assert database.takes_writes(session)
    with database.engine.connect() as connection:
        connection.execute(text("set session default_transaction_read_only = on"))
        connection.commit()
    with database.session() as session:
        assert not database.takes_writes(session)
    with database.session() as session:
        assert database.takes_writes(session)


def test_the_users_options_are_kept_beside_ours(database_url: str):
    written = f"{database_url}?options=-c%20search_path%3Delsewhere%20-c%20timezone%3DCET"
    database = Database(written)
    shown = ("search_path", "timezone", "idle_in_transaction_session_timeout")
    with database.session() as session:
        found = [session.scalar(text(f"show {name}")) for name in shown]
    database.close()
    assert found == ["elsewhere", "UTC", "10s"]


def test_the_users_parameters_replace_our_defaults(database_url: str):
    database = Database(f"{database_url}?application_name=mine&connect_timeout=20")
    with database.session() as session:
        assert session.scalar(text("show application_name")) == "mine"
        parameters = conninfo_to_dict(database.listen_url)
    database.close()
    assert (parameters["application_name"], parameters["connect_timeout"]) == ("mine", "20")


def test_the_first_of_several_hosts_that_takes_writes_is_used(database_url: str):
    user, _, rest = database_url.partition("@")
    database = Database(f"{user}@127.0.0.1:9,{rest}?target_session_attrs=read-write")
    assert database.ping()
    with psycopg.connect(database.listen_url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    database.close()


def test_a_database_of_another_encoding_is_refused_in_a_sentence(postgres_server: Postgres):
    with database_of(postgres_server, "encoding 'SQL_ASCII' template template0") as url:
        database = Database(url)
        with pytest.raises(DatabaseUnusable, match="has the encoding SQL_ASCII: Duet needs UTF8"):
            database.ping()
        with pytest.raises(DatabaseUnusable), database.session() as session:
            session.execute(text("select 1"))
        database.close()
        command = [sys.executable, "-m", "store", "migrate"]
        ended = subprocess.run(
            command,
            env={**os.environ, "DATABASE_URL": url},
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode == 1
    [said] = ended.stderr.splitlines()
    assert "Duet needs UTF8" in said


@contextmanager
def database_of(server: Postgres, kind: str) -> Iterator[str]:
    """The address of a new database."""
    base = server.url.rpartition("/")[0].replace("+psycopg", "")
    with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
        connection.execute(f"create database other {kind}")  # pyright: ignore[reportArgumentType, reportCallIssue]
        try:
            yield f"{base}/other"
        finally:
            connection.execute("drop database other with (force)")
