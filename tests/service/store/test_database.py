"""What becomes of connections that Postgres has ended."""

import time

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from store.database import Database
from tests.waiting import deadline


def outstay(database: Database, session: Session) -> None:
    """Do as a process that was stopped amid a transaction: let Postgres end its session."""
    session.execute(text("set local idle_in_transaction_session_timeout = 50"))
    pid = session.scalar(text("select pg_backend_pid()"))
    there = text("select 1 from pg_stat_activity where pid = :pid")
    latest = time.monotonic() + deadline(10)
    with database.session() as other:
        while other.execute(there, {"pid": pid}).first():
            assert time.monotonic() < latest, "Postgres does not end the session"
            time.sleep(0.02)
            other.execute(text("select pg_stat_clear_snapshot()"))


def test_it_is_an_outage_like_any_other_at_its_next_statement(database: Database):
    with database.session() as session:
        outstay(database, session)
        with pytest.raises(OperationalError):
            session.execute(text("select 1"))
        session.rollback()
    assert database.ping()


def test_it_is_an_outage_like_any_other_at_its_commit(database: Database):
    with pytest.raises(OperationalError), database.session() as session:
        outstay(database, session)
    assert database.ping()


def test_a_connection_that_ended_while_nobody_used_it_is_no_outage(database: Database):
    with database.session() as session:
        pid = session.scalar(text("select pg_backend_pid()"))
    with psycopg.connect(database.listen_url, autocommit=True) as other:
        other.execute("select pg_terminate_backend(%s, 10000)", [pid])
    with database.autocommit() as session:
        assert session.scalar(text("select pg_backend_pid()")) != pid
