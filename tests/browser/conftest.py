"""A browser, the real API, and a job whose records a test writes in place of a worker."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from grpo.spec.resolve import resolve
from store import ids
from store.access import keys
from store.artifacts.folder import FolderArtifacts
from store.database.database import Database
from store.jobs import jobs, leases
from store.jobs.claim import claim_next
from store.jobs.outcomes import ExitInfo, Outcome
from store.log.log import Entry
from store.settings import Settings
from store.states import Status
from tests.service.api.conftest import Servers, database_url, servers, settings
from tests.waiting import deadline

__all__ = ["database_url", "servers", "settings"]

LEASE_SECONDS = 600
WIDTHS = {"desk": 1280, "phone": 390}
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium; closed after each module, since its event loop blocks async tests."""
    path = shutil.which("chromium")
    assert path, "Chromium is not installed: `apt-get install chromium`"
    expect.set_options(timeout=1000 * deadline(5))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def address(settings: Settings, servers: Servers) -> str:
    """Address of the API and of the page."""
    return servers.at(settings)


@pytest.fixture
def key(database: Database) -> str:
    return make_key(database)


def make_key(database: Database) -> str:
    """Admin key of a new project."""
    with database.session() as session:
        project = keys.create_project(session, "default")
        return keys.create_key(session, project, "admin", ["read", "submit", "admin", "server"])[1]


@contextmanager
def visit(
    chromium: Browser,
    address: str,
    *,
    width: int = 1280,
    refusals: int = 0,
    writes: bool = False,
) -> Iterator[Page]:
    """Open a page and fail on any error, except the given number of expected refusals (409).

    `writes`: the page checks unfinished input with the server, which refuses it (422).
    """
    context = chromium.new_context(viewport={"width": width, "height": 900}, timezone_id="UTC")
    context.set_default_timeout(1000 * deadline(15))
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda message: faults.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("requestfailed", lambda request: faults.extend(_failure(request)))
    page.goto(address)
    try:
        yield page
    finally:
        context.close()  # its streams too, for which the server would wait at its end
    refused = [fault for fault in faults if "409 (Conflict)" in fault]
    assert len(refused) == refusals
    unfinished = [fault for fault in faults if writes and "status of 422" in fault]
    assert [fault for fault in faults if fault not in [*refused, *unfinished]] == []


def _failure(request: Request) -> list[str]:
    """Return a request's failure; None for requests that the page aborts when it is left, and for a
    stream that was read to its end, which Chromium often reports as aborted, too."""
    if request.failure == "net::ERR_ABORTED":
        return []
    return [f"{request.url}: {request.failure}"]


@contextmanager
def open_page(
    browser: Browser,
    address: str,
    key: str,
    route: str,
    *,
    width: int = 1280,
    refusals: int = 0,
    writes: bool = False,
) -> Iterator[Page]:
    """Open the page at a route such as `#/files`, signed in, with the checks of `visit`."""
    with visit(browser, address, width=width, refusals=refusals, writes=writes) as page:
        page.goto(f"{address}/#key={key}")
        page.get_by_role("button", name="Sign out").wait_for()
        page.goto(f"{address}/{route}")
        yield page


def overflow(page: Page) -> int:
    root = "document.documentElement"
    return page.evaluate(f"{root}.scrollWidth - {root}.clientWidth")


@dataclass
class Run:
    """A submitted job and, once claimed, its attempt."""

    database: Database
    artifacts: FolderArtifacts
    project_id: UUID
    job_id: UUID
    attempt: int = 0
    entries: list[Entry] = field(default_factory=list)

    @property
    def shown_id(self) -> str:
        return ids.encode("job", self.job_id)

    def claim(self) -> None:
        with self.database.session() as session:
            claim = claim_next(
                session,
                worker_id=uuid4(),
                host="here",
                queues=["default"],
                num_gpus=0,
                lease_seconds=LEASE_SECONDS,
                boot_id="boot",
            )
        assert claim is not None
        self.attempt = claim.attempt
        self.entries = []

    def write(self, kind: str, step: int | None, payload: dict[str, Any]) -> None:
        """Ship one record."""
        entry = Entry(len(self.entries) + 1, kind, step, datetime.now(UTC), payload)
        self.entries.append(entry)
        with self.database.session() as session:
            leases.sync(session, self.job_id, self.attempt, [entry], LEASE_SECONDS)

    def train(self, step: int, *, reward: float, **metrics: float) -> None:
        self.write("metric", step, {"reward": reward, "step_time": 1.0, **metrics})

    def checkpoint(self, step: int, files: dict[str, bytes], *, final: bool, folder: Path) -> None:
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        listed = [
            {"path": name, "bytes": len(content), "sha256": sha256(content).hexdigest()}
            for name, content in files.items()
        ]
        key = f"jobs/{self.shown_id}/attempt-{self.attempt}/step-{step}"
        self.artifacts.put_folder(folder, key)
        notice = Entry(len(self.entries) + 1, "checkpoint", step, datetime.now(UTC), {})
        self.entries.append(notice)
        with self.database.session() as session:
            leases.register_checkpoint(
                session,
                self.job_id,
                self.attempt,
                step=step,
                key=key,
                manifest={"format": 1, "step": step, "files": listed},
                bytes=sum(map(len, files.values())),
                final=final,
                n=notice.n,
            )

    def last_seq(self) -> int:
        with self.database.session() as session:
            return jobs.get(session, self.project_id, self.job_id).last_seq

    def finish(self, outcome: Outcome) -> Status:
        with self.database.session() as session:
            return leases.finish(
                session, self.job_id, self.attempt, outcome, ExitInfo(log_tail="last words")
            )


@pytest.fixture
def run(database: Database, settings: Settings, key: str) -> Run:
    return make_run(database, settings, key)


def make_run(database: Database, settings: Settings, key: str) -> Run:
    """A queued job of the built-in data."""
    spec = resolve({"name": "two rollouts", "preset": "demo"})
    with database.session() as session:
        owner = keys.authenticate(session, key)
        assert owner is not None
        job = jobs.submit(
            session, project_id=owner.project_id, key_id=owner.id, spec=spec, total_steps=4
        )
        return Run(database, FolderArtifacts(settings.artifacts_url), owner.project_id, job.id)
