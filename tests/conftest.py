"""Real servers for tests: one Postgres and one Valkey per test process, a new database per test."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import settings as examples

from duet.local.services.postgres import Postgres
from duet.local.services.valkey import Valkey
from grpo.runtime.garbage import collection_paused
from store.database.database import Database
from store.settings import Settings
from tests.databases import copy_of, make_template
from tests.machine import slowness
from tests.s3 import s3, s3_process
from tests.waiting import deadline

__all__ = ["s3", "s3_process"]

examples.register_profile("any machine", deadline=None)
examples.load_profile("any machine")


def pytest_report_header() -> str:
    """Report the factor of the tests' deadlines on this machine."""
    return f"machine: {slowness():.2f} times the reference's time; deadlines x {deadline(1):.1f}"


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect tests without collecting garbage: what they import and their parameters stay."""
    with collection_paused():
        return (yield)


def pytest_unconfigure() -> None:
    gc.unfreeze()  # Triton reports what is never collected as leaks


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Scale each test's timeout to this machine: its own `timeout`, or pyproject's."""
    usual = float(config.getini("timeout"))
    for item in items:
        marker = item.get_closest_marker("timeout")
        seconds = marker.args[0] if marker else usual
        item.add_marker(pytest.mark.timeout(deadline(seconds)), append=False)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A shared server; tests that kill or stop one start their own."""
    server = Postgres(tmp_path_factory.mktemp("postgres"), options=["-c", "fsync=off"])
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A shared server; tests that kill or stop one start their own."""
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def template_database(postgres_server: Postgres) -> str:
    """Name of a migrated database, copied for tests in a few milliseconds."""
    make_template(postgres_server, "duet_template")
    return "duet_template"


@pytest.fixture
def database_url(postgres_server: Postgres, template_database: str) -> Iterator[str]:
    """An empty, migrated database."""
    with copy_of(postgres_server, template_database) as url:
        yield url


@pytest.fixture(scope="session")
def shared_database_url(postgres_server: Postgres, template_database: str) -> Iterator[str]:
    """A migrated database for tests that begin by emptying it: see `tests.databases.empty`."""
    with copy_of(postgres_server, template_database) as url:
        yield url


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
    """Settings with short periods, for tests in seconds."""
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        artifacts_url=(tmp_path / "artifacts").as_uri(),
        runs_dir=tmp_path / "runs",
        local_roots=str(tmp_path),
        secrets_key="a-key-of-the-tests-that-has-32-bytes-in-it0=",
        lease_seconds=3.9,  # a trainer has three quarters of it, on a busy machine too
        reaper_seconds=0.5,
        poll_seconds=0.5,
        sync_seconds=0.2,
        retry_seconds=0,
        grace_seconds=10,
        worker_queues="default",
        worker_gpus="none",
    )
