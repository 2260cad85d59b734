"""Broken connections and server failures: reported, and recovered from."""

from playwright.sync_api import Browser, expect
from sqlalchemy import text

from tests.browser.conftest import Run
from tests.browser.test_job_page import chart, open_job
from tests.waiting import deadline


def rename(run: Run, table: str, name: str) -> None:
    with run.database.session() as session:
        session.execute(text(f"alter table {table} rename to {name}"))


def test_failures_are_shown_and_the_page_recovers_by_itself(
    chromium: Browser, address: str, key: str, run: Run
):
    run.claim()
    run.train(1, reward=0.1)
    context = chromium.new_context()  # its console tells of the failures, as it should
    page = context.new_page()
    open_job(page, address, key, run)
    reward, alert = chart(page, "Reward"), page.get_by_role("alert")
    expect(reward).to_contain_text("mean 0.1")
    context.set_offline(True)
    expect(alert).to_have_text(
        "The server cannot be reached. Is it running?", timeout=1000 * deadline(15)
    )
    run.train(2, reward=0.2)
    context.set_offline(False)
    expect(reward).to_contain_text("mean 0.2", timeout=1000 * deadline(15))
    expect(alert).to_have_count(0, timeout=1000 * deadline(15))
    rename(run, "attempts", "away")
    expect(alert).to_contain_text("internal server error", timeout=1000 * deadline(15))
    expect(reward).to_contain_text("mean 0.2")
    rename(run, "away", "attempts")
    expect(alert).to_have_count(0, timeout=1000 * deadline(15))
    context.close()
