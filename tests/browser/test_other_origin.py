"""Pages of other origins: the example page drives the API where its origin is allowed."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import func, select

from store.artifacts.folder import FolderArtifacts
from store.database.database import Database
from store.jobs.outcomes import Failed
from store.settings import Settings
from store.tables import Job
from tests.browser.conftest import Run
from tests.service.api.conftest import serving
from tests.waiting import deadline

EXAMPLE = Path(__file__).parents[2] / "examples" / "web"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def page_address() -> Iterator[str]:
    """Origin of the example page, another one than the API's."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=EXAMPLE))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def example(chromium: Browser, page_address: str, api: str, key: str) -> Iterator[Page]:
    context = chromium.new_context()
    context.set_default_timeout(1000 * deadline(15))
    page = context.new_page()
    page.goto(page_address)
    page.get_by_label("Server").fill(api)
    page.get_by_label("API key").fill(key)
    yield page
    context.close()


@contextmanager
def allowing(settings: Settings, origins: str) -> Iterator[str]:
    with serving(settings.model_copy(update={"allowed_origins": origins})) as url:
        yield url


def test_the_example_page_submits_a_job_follows_it_and_draws_its_reward(
    chromium: Browser, settings: Settings, database: Database, page_address: str, key: str
):
    with (
        allowing(settings, page_address) as api,
        example(chromium, page_address, api, key) as page,
    ):
        page.get_by_role("button", name="Train").click()
        expect(page.get_by_role("status")).to_contain_text("queued")
        run = newest(database, settings)
        run.claim()
        for step in (1, 2, 3):
            run.train(step, reward=0.25 * step)
        expect(page.locator("polyline")).to_have_attribute("points", "0,75 50,50 100,25")
        run.finish(Failed(error={"code": "x", "message": "disk is full"}, retryable=False))
        expect(page.get_by_role("status")).to_contain_text("failed: disk is full")


@pytest.mark.parametrize("origins", ["", "https://other.example"], ids=["none", "another"])
def test_a_page_of_an_origin_that_is_not_allowed_reads_nothing(
    chromium: Browser,
    settings: Settings,
    database: Database,
    page_address: str,
    key: str,
    origins: str,
):
    with (
        allowing(settings, origins) as api,
        example(chromium, page_address, api, key) as page,
    ):
        page.get_by_role("button", name="Train").click()
        expect(page.get_by_role("status")).to_contain_text("Failed: Failed to fetch")
        with database.session() as session:
            assert session.scalar(select(func.count()).select_from(Job)) == 0


def newest(database: Database, settings: Settings) -> Run:
    with database.session() as session:
        job = session.scalars(select(Job)).one()
        artifacts = FolderArtifacts(settings.artifacts_url)
        return Run(database, artifacts, job.project_id, job.id)
