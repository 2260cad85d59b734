"""Store tests share one database a test process: emptying it is faster than copying it."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from duet.local.services.postgres import Postgres
from store.database import Database
from store.tables import Base
from tests.databases import copy_of
from tests.service.store.desk import Desk, make_desk


@pytest.fixture(scope="session")
def shared_database_url(postgres_server: Postgres, template_database: str) -> Iterator[str]:
    with copy_of(postgres_server, template_database) as url:
        yield url


@pytest.fixture
def database_url(shared_database_url: str) -> str:
    """An empty, migrated database."""
    with psycopg.connect(shared_database_url.replace("+psycopg", "")) as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(SQL("delete from {}").format(Identifier(table.name)))
    return shared_database_url


@pytest.fixture
def desk(database: Database) -> Desk:
    return make_desk(database, "default")
