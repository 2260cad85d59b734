"""Actions of a user on a job's page, in each of its states."""

from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from store.jobs.outcomes import Failed, Stopped
from tests.browser.conftest import Run, overflow, visit
from tests.browser.test_job_page import open_job


def offered(page: Page) -> list[str]:
    return page.locator(".actions").first.get_by_role("button").all_text_contents()


def press(page: Page, *names: str) -> None:
    for name in names:
        page.get_by_role("button", name=name, exact=True).click()


def test_a_jobs_buttons_match_its_state(
    chromium: Browser, address: str, key: str, run: Run, tmp_path: Path
):
    status = ".head .status"
    with visit(chromium, address, width=390) as page:
        open_job(page, address, key, run)
        assert offered(page) == ["Pause", "Cancel…"]
        press(page, "Pause")
        expect(page.locator(status)).to_have_text("paused")
        assert offered(page) == ["Resume", "Cancel…"]
        press(page, "Resume")
        expect(page.locator(status)).to_have_text("queued")
        run.claim()
        run.checkpoint(2, {"config.json": b"{}"}, final=False, folder=tmp_path / "checkpoint")
        run.train(2, reward=0.1)
        expect(page.locator(status)).to_have_text("running")
        press(page, "Pause")
        expect(page.locator(status)).to_have_text("pausing")
        expect(page.get_by_role("button", name="Fork…")).to_be_visible()
        assert offered(page) == ["Resume", "Cancel…", "Fork…"]
        run.finish(Stopped())
        expect(page.locator(status)).to_have_text("paused")
        press(page, "Cancel…", "Cancel the job")
        expect(page.locator(status)).to_have_text("cancelled")
        assert offered(page) == ["Retry", "Fork…", "Delete…"]
        assert overflow(page) == 0


def test_an_ended_job_is_forked_taken_up_again_and_deleted(
    chromium: Browser, address: str, key: str, run: Run, tmp_path: Path
):
    run.claim()
    run.checkpoint(2, {"config.json": b"{}"}, final=False, folder=tmp_path / "checkpoint")
    run.finish(Failed({"code": "bad", "message": "No.", "hint": None}, retryable=False))
    with visit(chromium, address, refusals=1) as page:
        open_job(page, address, key, run)
        press(page, "Fork…")
        page.get_by_label("Name of the new job").fill("a branch")
        expect(page.get_by_role("combobox", name="Checkpoint")).to_have_text("step 2")
        press(page, "Start the fork")
        expect(page.get_by_role("heading", name="a branch")).to_be_visible()
        expect(page.get_by_text("at step 2, by admin")).to_be_visible()
        page.go_back()
        expect(page.get_by_role("heading", name="two rollouts")).to_be_visible()
        press(page, "Delete…", "Delete the job")
        refusal = page.get_by_role("alert").filter(has_text="checkpoint")
        expect(refusal).to_be_visible()
        press(page, "Keep the job", "Retry")
        expect(page.get_by_text(f"retry of {run.shown_id} from step 2")).to_be_visible()
        press(page, "Cancel…", "Cancel the job")
        expect(page.locator(".head .status")).to_have_text("cancelled")
        press(page, "Delete…", "Delete the job")
        expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
        expect(page.get_by_role("link", name="two rollouts")).to_have_count(1)
