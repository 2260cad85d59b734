"""Databases for tests on one Postgres server."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import psycopg
from psycopg.sql import SQL, Identifier

from duet.local.services.postgres import Postgres
from store.database.schema import migrate
from store.tables import Base

_numbers = count()


def make_template(server: Postgres, name: str) -> None:
    """Create a migrated database to be copied."""
    with _administration(server) as connection:
        connection.execute(SQL("create database {}").format(Identifier(name)))
    migrate(_address(server, name))


@contextmanager
def copy_of(server: Postgres, template: str) -> Iterator[str]:
    """Yield the address of a copy that is dropped at the end."""
    name = f"test_{next(_numbers)}"
    with _administration(server) as connection:
        copied = SQL("create database {} template {}")
        connection.execute(copied.format(Identifier(name), Identifier(template)))
    yield _address(server, name)
    with _administration(server) as connection:
        connection.execute(SQL("drop database {} with (force)").format(Identifier(name)))


def empty(url: str) -> None:
    """Delete every row of a migrated database: faster than a copy of a small one."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(SQL("delete from {}").format(Identifier(table.name)))


def _address(server: Postgres, name: str) -> str:
    return f"{server.url.rpartition('/')[0]}/{name}"


@contextmanager
def _administration(server: Postgres) -> Iterator[psycopg.Connection]:
    address = _address(server, "postgres").replace("+psycopg", "")
    with psycopg.connect(address, autocommit=True) as connection:
        yield connection
