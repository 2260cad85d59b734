"""The API as it is served, on a free port, with keys of two projects."""

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
from openai import OpenAI

from api.app import SEND_SECONDS, create_app
from api.server import Server, configured
from store.access.keys import Scope, create_key, create_project
from store.artifacts.folder import FolderArtifacts
from store.database.database import Database
from store.settings import Settings
from store.telemetry.logging import write_operator_log
from tests.databases import empty
from tests.service.api.hand import Hand
from tests.waiting import deadline

PING_SECONDS = 0.3


@contextmanager
def serving(
    settings: Settings, *, send_seconds: float = SEND_SECONDS, **bounds: Any
) -> Iterator[str]:
    """A live server's address; `bounds`: uvicorn's settings."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        app = create_app(settings, ping_seconds=PING_SECONDS, send_seconds=send_seconds)
        config = configured(
            app,
            trusted_proxies=settings.proxies,
            log_level="warning",
            timeout_graceful_shutdown=2,
            **bounds,
        )
        server = Server(config, app)
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
def database_url(shared_database_url: str) -> str:
    """An empty, migrated database; the running servers see that it is."""
    empty(shared_database_url)
    return shared_database_url


@pytest.fixture
def settings(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings shared by every test, with an empty artifact store, for one shared server."""
    folder = tmp_path_factory.getbasetemp()
    shutil.rmtree(folder / "artifacts", ignore_errors=True)
    return settings.model_copy(
        update={
            "artifacts_url": (folder / "artifacts").as_uri(),
            "runs_dir": folder / "runs",
            "local_roots": str(folder),
        }
    )


class Servers:
    """The servers of a test process: one per settings."""

    def __init__(self, opened: ExitStack) -> None:
        self._opened = opened
        self._urls: dict[str, str] = {}

    def at(self, settings: Settings) -> str:
        """Return the address of a server with these settings, possibly shared with other tests."""
        text = settings.model_dump_json()
        if text not in self._urls:
            self._urls[text] = self._opened.enter_context(serving(settings))
        return self._urls[text]


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with ExitStack() as opened:
        yield Servers(opened)


@pytest.fixture
def url(settings: Settings, servers: Servers) -> str:
    """A server shared with other tests; `serving` starts a separate one."""
    return servers.at(settings)


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


@pytest.fixture
def theirs(url: str, key: str) -> Iterator[OpenAI]:
    """OpenAI's own client."""
    with OpenAI(base_url=f"{url}/openai/v1", api_key=key, max_retries=0) as client:
        yield client
