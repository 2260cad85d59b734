"""The API as it is served, on a free port, with keys of two projects."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
import uvicorn

from api.app import SEND_SECONDS, create_app
from store.access.keys import Scope, create_key, create_project
from store.artifacts.folder import FolderArtifacts
from store.database import Database
from store.settings import Settings
from store.telemetry.logging import write_operator_log
from tests.service.api.hand import Hand
from tests.waiting import deadline

PING_SECONDS = 0.3


@contextmanager
def serving(settings: Settings, *, send_seconds: float = SEND_SECONDS) -> Iterator[str]:
    """A live server's address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        app = create_app(settings, ping_seconds=PING_SECONDS, send_seconds=send_seconds)
        config = uvicorn.Config(
            app, access_log=False, log_level="warning", ws="none", timeout_graceful_shutdown=2
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def client(url: str, key: str) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=url, headers=headers, timeout=deadline(20)) as opened:
        yield opened


def make_key(database: Database, project: str, *scopes: Scope) -> str:
    with database.session() as session:
        owner = create_project(session, project)
        return create_key(session, owner, "/".join(scopes), scopes)[1]


@pytest.fixture(autouse=True, scope="session")
def _events_as_in_production() -> None:
    write_operator_log()


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    with serving(settings) as address:
        yield address


@pytest.fixture
def key(database: Database) -> str:
    return make_key(database, "ours", "read", "submit")


@pytest.fixture
def http(url: str, key: str) -> Iterator[httpx.Client]:
    """A client with a key of the project `ours`."""
    with client(url, key) as opened:
        yield opened


@pytest.fixture
def their_http(url: str, database: Database) -> Iterator[httpx.Client]:
    """A client with a key of another project."""
    with client(url, make_key(database, "theirs", "read", "submit", "admin")) as opened:
        yield opened


@pytest.fixture
def reading_http(url: str, database: Database) -> Iterator[httpx.Client]:
    """A client with a key of the project `ours` that only reads."""
    with client(url, make_key(database, "ours", "read")) as opened:
        yield opened


@pytest.fixture
def artifacts(settings: Settings) -> FolderArtifacts:
    return FolderArtifacts(settings.artifacts_url)


@pytest.fixture
def claims(database: Database, artifacts: FolderArtifacts) -> Callable[[], Hand]:
    """Claims the queue's first job as a worker would."""
    return lambda: Hand.claims(database, artifacts)
