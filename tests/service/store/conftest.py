"""Store tests share one database per test process: emptying it is faster than copying it."""

import pytest

from store.database.database import Database
from tests.databases import empty
from tests.service.store.desk import Desk, make_desk
from tests.service.store.office import Office


@pytest.fixture
def database_url(shared_database_url: str) -> str:
    """An empty, migrated database."""
    empty(shared_database_url)
    return shared_database_url


@pytest.fixture
def desk(database: Database) -> Desk:
    return make_desk(database, "default")


@pytest.fixture
def office(desk: Desk) -> Office:
    return Office(desk)
