"""A live server for malformed requests."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from duet.local.services.postgres import Postgres
from duet.local.services.valkey import Valkey
from store.database.database import Database
from store.settings import Settings
from tests.databases import copy_of
from tests.service.api.conftest import client, make_key, serving


@dataclass(frozen=True)
class Target:
    """A server with an empty database, and a key with all scopes of its project."""

    url: httpx.URL
    key: str
    database: Database

    @property
    def authorization(self) -> str:
        return f"Bearer {self.key}"


@pytest.fixture(scope="module")
def target(
    postgres_server: Postgres,
    template_database: str,
    valkey_server: Valkey,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Target]:
    folder: Path = tmp_path_factory.mktemp("target")
    with copy_of(postgres_server, template_database) as database_url:
        settings = Settings(
            database_url=database_url,
            redis_url=valkey_server.url,
            artifacts_url=(folder / "artifacts").as_uri(),
            runs_dir=folder / "runs",
        )
        database = Database(database_url)
        key = make_key(database, "ours", "read", "submit", "admin", "server")
        with serving(settings) as url:
            yield Target(httpx.URL(url), key, database)
        database.close()


@pytest.fixture
def http(target: Target) -> Iterator[httpx.Client]:
    with client(str(target.url), target.key) as opened:
        yield opened
