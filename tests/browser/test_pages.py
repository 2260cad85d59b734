"""Pages other than jobs: their actions take effect on the server, with a message."""

import json
import re
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, expect

from store import workers
from store.access import keys
from store.database.database import Database
from store.jobs import transitions
from store.settings import Settings
from tests.browser.conftest import WIDTHS, Run, open_page, overflow
from tests.service.delivering import delivering
from tests.service.receiver import receiving

ROWS = [{"question": f"{n} + {n} = ?", "answer": str(2 * n)} for n in range(1, 13)]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"webhooks_allow_private": True})


def press(page: Page, *names: str) -> None:
    for name in names:
        page.get_by_role("button", name=name, exact=True).click()


def assert_fits(page: Page) -> None:
    """Assert that the page fits at every width."""
    for width in WIDTHS.values():
        page.set_viewport_size({"width": width, "height": 900})
        assert overflow(page) == 0, width


def test_a_file_is_checked_previewed_and_downloaded_unchanged(
    chromium: Browser, address: str, key: str, tmp_path: Path
):
    good, bad = tmp_path / "sums.jsonl", tmp_path / "bad.jsonl"
    good.write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    bad.write_text('{"question": "1"}\nno JSON\n')
    with open_page(chromium, address, key, "#/files", writes=True) as page:
        expect(page.get_by_text("No files yet")).to_be_visible()
        chooser = page.get_by_label("Drop a JSONL or Parquet file here")
        chooser.set_input_files(bad)
        expect(page.get_by_role("alert")).to_contain_text("line 2")
        chooser.set_input_files(good)
        expect(page.get_by_text("12 rows")).to_be_visible()
        expect(page.get_by_role("alert")).to_have_count(0)
        page.get_by_text("First rows, fields").click()
        expect(page.get_by_role("cell", name="10 + 10 = ?")).to_be_visible()
        assert_fits(page)
        with page.expect_download() as download:
            press(page, "Download sums.jsonl")
        assert download.value.suggested_filename == "sums.jsonl"
        assert download.value.path().read_bytes() == good.read_bytes()
        press(page, "Delete… sums.jsonl")
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="Delete… sums.jsonl")).to_be_focused()
        press(page, "Delete… sums.jsonl", "Cancel")
        expect(page.get_by_role("button", name="Delete… sums.jsonl")).to_be_focused()
        expect(page.get_by_text("12 rows")).to_be_visible()
        press(page, "Delete… sums.jsonl", "Delete the file")
        expect(page.get_by_text("No files yet")).to_be_visible()


def test_a_key_is_shown_once_grants_its_scopes_and_ends_when_revoked(
    chromium: Browser, address: str, key: str, database: Database
):
    with open_page(chromium, address, key, "#/keys", width=390) as page:
        page.get_by_label("Name").fill("a reader")
        page.get_by_role("checkbox", name="submit").uncheck()
        press(page, "Create the key")
        made = page.get_by_role("textbox", name="Key a reader").input_value()
        with database.session() as session:
            assert keys.authenticate(session, made) is not None
        press(page, "I have kept it")
        expect(page.get_by_role("dialog")).to_have_count(0)
        assert made not in page.content()
        assert_fits(page)
        with open_page(chromium, address, made, "#/files") as reader:
            expect(reader.get_by_role("heading", name="Files")).to_be_visible()
            pages = reader.get_by_role("navigation", name="Pages").get_by_role("link")
            expect(pages).to_have_text(["Jobs", "Fleet", "Files"])
            expect(reader.get_by_label("Drop a JSONL or Parquet file here")).to_have_count(0)
            reader.goto(f"{address}/#/keys")
            expect(reader.get_by_text("needs a key with the scope admin")).to_be_visible()
        press(page, "Revoke… a reader", "Revoke the key")
        expect(page.get_by_role("listitem").filter(has_text="a reader")).to_contain_text("revoked")
        with database.session() as session:
            assert keys.authenticate(session, made) is None
        press(page, "Change… admin", "Create the new key")
        successor = page.get_by_role("textbox", name="Key admin").input_value()
        with database.session() as session:
            assert keys.authenticate(session, successor) is not None
        press(page, "I have kept it")
        expect(page.get_by_role("listitem").filter(has_text="yours")).to_contain_text("valid until")
        assert_fits(page)
        page.get_by_role("link", name="Audit log").click()
        changes = page.get_by_role("list", name="Changes").get_by_role("listitem")
        done = ["key.rotate", "key.revoke", "session.begin", "key.create", "session.begin"]
        expect(changes).to_contain_text(done)
        changes.get_by_role("link", name="session.begin").first.click()
        expect(changes).to_contain_text(["session.begin", "session.begin"])
        changes.get_by_role("link", name="a reader").click()
        expect(changes).to_have_count(1)
        page.get_by_role("link", name="Remove the filter action session.begin").click()
        expect(changes).to_have_count(1)
        expect(page).to_have_url(re.compile(r"#/audit\?by=key_\w+$"))
        assert_fits(page)
        page.goto(f"{address}/#/audit?object=job_1")
        page.get_by_role("link", name="Show all changes").click()
        expect(changes).to_contain_text(done)
        page.goto(f"{address}/#/keys")
        page.get_by_role("link", name="Projects of this server").click()
        page.get_by_label("Name").fill("guests")
        page.get_by_label("running jobs").fill("2")
        press(page, "Create the project", "I have kept it", "Limits… guests")
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_label("running jobs")).to_have_value("2")
        dialog.get_by_label("waiting jobs").fill("30")
        press(page, "Set the limits")
        guests = page.get_by_role("listitem").filter(has_text="guests")
        expect(guests).to_contain_text("at most 2 running, at most 30 waiting")
        assert_fits(page)


def test_a_webhook_is_added_tried_and_sent_again_what_was_given_up(
    chromium: Browser, address: str, key: str, run: Run
):
    with receiving() as receiver, open_page(chromium, address, key, "#/webhooks") as page:
        page.get_by_label("Address").fill(receiver.url)
        page.get_by_role("checkbox", name="job.paused").check()
        press(page, "Add the webhook")
        secret = page.get_by_role("textbox", name="Signing secret")
        first = secret.input_value()
        with delivering(run.database):
            press(page, "I have kept it", f"Send a test {receiver.url}")
            expect(page.get_by_text("The test arrived: answer 200")).to_be_visible()
        assert receiver.arrived[0].verified(first)["type"] == "webhook.test"
        press(page, f"New secret… {receiver.url}", "Create a new secret")
        expect(secret).not_to_have_value(first)
        press(page, "I have kept it")
        with run.database.session() as session:
            transitions.pause(session, run.project_id, run.job_id, reason="for a while")
        page.get_by_text("Deliveries", exact=True).click()
        deliveries = page.get_by_role("list", name=f"Deliveries to {receiver.url}")
        expect(deliveries).to_contain_text("pending job.paused")
        press(page, f"Disable… {receiver.url}", "Disable the webhook")
        expect(page.get_by_text("disabled", exact=False).first).to_be_visible()
        expect(deliveries).to_contain_text("given up job.paused")
        press(page, f"Enable {receiver.url}")
        deliveries.get_by_role("button", name="Send again job.paused").click()
        expect(deliveries).to_contain_text("pending job.paused")
        deliveries.get_by_text("Payload").first.click()
        expect(deliveries.get_by_role("group", name="Payload of").first).to_contain_text(
            run.shown_id
        )
        assert_fits(page)
        press(page, f"Delete… {receiver.url}", "Delete the webhook")
        expect(page.get_by_text("None yet.")).to_be_visible()


def test_the_fleet_page_shows_workers_and_reasons_for_waits_and_drains_a_worker(
    chromium: Browser, address: str, key: str, run: Run
):
    with open_page(chromium, address, key, "#/fleet") as page:
        expect(page.get_by_text("No worker is running")).to_be_visible()
        expect(page.get_by_text("until a worker serves this queue")).to_be_visible()
        assert_fits(page)
        with run.database.session() as session:
            workers.register(
                session,
                worker_id=uuid4(),
                host="node-1",
                boot_id="boot",
                pid=1,
                queues=["default"],
                num_gpus=2,
                slots=2,
                machine=workers.Machine(gpus=[workers.Gpu("H200", 140 * 2**30)] * 2),
            )
        card = page.get_by_role("listitem").filter(has_text="node-1")
        expect(card).to_contain_text("H200, 140 GiB")
        expect(page.get_by_text("Number 1 since")).to_contain_text("waits for")
        press(page, "Drain… node-1", "Drain it")
        expect(card).to_contain_text("draining")
        press(page, "Undrain node-1")
        expect(card).to_contain_text("active")
        assert_fits(page)
