"""A new user's first hour on the page, with the real trainer."""

import hashlib
import re

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import visit
from tests.browser.test_new_job import field
from tests.browser.test_signing_in import sign_in
from tests.endtoend.conftest import Stack
from tests.waiting import deadline

MINUTES = 180.0


def start(page: Page, **fields: str) -> str:
    """Submit the demo job with some fields filled in; return its id once its page is shown."""
    page.get_by_role("link", name="New job").click()
    page.get_by_role("radio", name="demo").check()
    for label, text in fields.items():
        field(page, label.replace("_", " ")).fill(text)
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_role("heading", name=fields["Name"])).to_be_visible()
    return page.url.rsplit("/", 1)[1]


def status(page: Page, text: str) -> None:
    expect(page.locator(".head .status")).to_have_text(text, timeout=1000 * deadline(MINUTES))


def test_a_job_is_written_watched_inspected_compared_and_its_checkpoint_downloaded(
    chromium: Browser, stack: Stack
):
    with visit(chromium, stack.url, writes=True) as page:
        sign_in(page, stack.key)
        long = start(page, Name="one too many", Max_steps="500")
        page.get_by_role("button", name="Cancel…").click()
        page.get_by_role("button", name="Cancel the job").click()
        status(page, "cancelled")
        short = start(page, Name="my first", Max_steps="2")
        status(page, "succeeded")
        expect(page.get_by_text(re.compile(r"\d% → \d"))).to_be_visible()
        assert len(stack.records(short, kind="metric")) == 2
        pair = page.locator(".group").first
        expect(pair.get_by_role("group", name="Completion 1", exact=True)).to_be_visible()
        expect(pair.get_by_role("group", name="Completion 2", exact=True)).to_be_visible()
        page.get_by_text("Step 2").last.click()
        with page.expect_download() as download:
            page.get_by_role("button", name="Download model.safetensors", exact=True).click()
        assert hashlib.sha256(download.value.path().read_bytes()).hexdigest() == sha256_of(
            stack, short, "model.safetensors"
        )
        page.get_by_role("link", name="Jobs").click()
        for name in ("my first", "one too many"):
            page.get_by_role("checkbox", name=f"Compare {name}", exact=True).first.check()
        page.get_by_role("button", name="Compare 2 jobs").click()
        expect(page.get_by_role("heading", name=re.compile("^Against "))).to_be_visible()
    assert stack.get(f"/v1/jobs/{long}")["status"] == "cancelled"


def sha256_of(stack: Stack, job: str, path: str) -> str:
    """Return the sha256 in the last checkpoint's manifest."""
    last = stack.get(f"/v1/jobs/{job}/checkpoints")["data"][-1]["id"]
    files = stack.get(f"/v1/checkpoints/{last}")["files"]
    return next(file["sha256"] for file in files if file["path"] == path)
