"""Real servers for tests: one Postgres and one Valkey a test process, a fresh database a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest
import redis
from psycopg.sql import SQL, Identifier

from duet.services.postgres import Postgres
from duet.services.valkey import Valkey
from store.database import Database
from store.schema import migrate
from store.settings import Settings

TEMPLATE = "duet_template"
_numbers = count()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Never killed or stopped by a test: one that does so starts a server of its own."""
    server = Postgres(tmp_path_factory.mktemp("postgres"), options=["-c", "fsync=off"])
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """Never killed or stopped by a test: one that does so starts a server of its own."""
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def template_database(postgres_server: Postgres) -> str:
    """The name of a migrated database that others are copied from in a few milliseconds."""
    with _administration(postgres_server) as connection:
        connection.execute(SQL("create database {}").format(Identifier(TEMPLATE)))
    migrate(_address(postgres_server, TEMPLATE))
    return TEMPLATE


@pytest.fixture
def database_url(postgres_server: Postgres, template_database: str) -> Iterator[str]:
    """An empty, migrated database."""
    name = f"test_{next(_numbers)}"
    with _administration(postgres_server) as connection:
        made = SQL("create database {} template {}")
        connection.execute(made.format(Identifier(name), Identifier(template_database)))
    yield _address(postgres_server, name)
    with _administration(postgres_server) as connection:
        connection.execute(SQL("drop database {} with (force)").format(Identifier(name)))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def redis_url(valkey_server: Valkey) -> str:
    """An empty Redis."""
    with redis.Redis.from_url(valkey_server.url) as client:
        client.flushall()
    return valkey_server.url


@pytest.fixture
def settings(database_url: str, redis_url: str, tmp_path: Path) -> Settings:
    """Short periods, so that what takes a minute in production takes seconds here."""
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        artifacts_url=(tmp_path / "artifacts").as_uri(),
        runs_dir=tmp_path / "runs",
        lease_seconds=3,
        sweep_seconds=0.5,
        poll_seconds=0.5,
        sync_seconds=0.2,
        grace_seconds=10,
        worker_queues="default",
        worker_gpus="",
    )


def _address(server: Postgres, name: str) -> str:
    return f"{server.url.rpartition('/')[0]}/{name}"


@contextmanager
def _administration(server: Postgres) -> Iterator[psycopg.Connection]:
    address = _address(server, "postgres").replace("+psycopg", "")
    with psycopg.connect(address, autocommit=True) as connection:
        yield connection
