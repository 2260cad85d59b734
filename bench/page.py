"""The page in Chromium with large data: `make bench-page`.

A list of 1,000 jobs, and a job of 20,000 steps that trains while it is viewed and scrolled.  Prints
the time to open each, and the longest task that blocked the page, by `PerformanceObserver` (which
reports none under 50 ms).
"""

import logging
import shutil
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import structlog
from playwright.sync_api import Page, expect, sync_playwright
from sqlalchemy import text

from duet.local.services.postgres import Postgres
from duet.local.services.valkey import Valkey
from store.database.database import Database
from store.database.schema import migrate
from store.settings import Settings
from tests.browser.conftest import FLAGS, Run, make_key, make_run, open_page
from tests.browser.test_job_list import COPYING, NUM_JOBS
from tests.browser.test_long_job import LONGEST_BLOCK_MS, NUM_STEPS, WATCHING, fill
from tests.service.api.conftest import serving

ROUNDS = 3
LIVE_STEPS = 40
WHEEL_PX = 2_000
TYPING_MS = 80  # between key presses


def main() -> None:
    quiet = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(wrapper_class=quiet)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        postgres, valkey = Postgres(Path(folder, "postgres")), Valkey(Path(folder, "valkey"))
        postgres.start()
        valkey.start()
        try:
            _measure(postgres.url, valkey.url, Path(folder))
        finally:
            valkey.stop()
            postgres.stop()


def _measure(database_url: str, redis_url: str, folder: Path) -> None:
    migrate(database_url)
    settings = Settings(
        database_url=database_url,
        redis_url=redis_url,
        artifacts_url=(folder / "artifacts").as_uri(),
        runs_dir=folder / "runs",
    )
    database = Database(database_url)
    key = make_key(database)
    run = make_run(database, settings, key)
    with database.session() as session:
        session.execute(text(COPYING), {"job": run.job_id, "number": NUM_JOBS})
    run.claim()
    fill(run)
    with serving(settings) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        walks = {
            f"{NUM_JOBS:,} jobs": _list,
            f"a job of {NUM_STEPS:,} steps, live": lambda page: _job(page, run),
        }
        print("| page | opens | longest task | needed | met |\n|---|---|---|---|---|")
        for shown, walk in walks.items():
            rounds = []
            for _ in range(ROUNDS):
                with open_page(browser, address, key, "#/fleet") as page:
                    page.add_init_script(WATCHING)
                    page.reload()
                    expect(page.get_by_role("heading", name="Workers")).to_be_visible()
                    rounds.append((walk(page), page.evaluate("window.longest")))
            _report(shown, rounds)
        browser.close()
    database.close()


def _list(page: Page) -> float:
    """Open the list, scroll and page to its end, and search key by key."""
    began = time.monotonic()
    page.get_by_role("link", name="Jobs", exact=True).click()
    expect(page.get_by_role("link", name="two rollouts")).to_be_visible()
    opened = time.monotonic() - began
    expect(
        page.get_by_role("row").filter(has_text="two rollouts").locator("polyline")
    ).to_be_visible()
    more = page.get_by_role("link", name="More jobs")
    for newest in range(NUM_JOBS - 49, 0, -50):
        _scroll(page)
        more.click()
        expect(page.get_by_role("link", name=f"job {newest}", exact=True)).to_be_visible()
    page.get_by_label("Part of the name").press_sequentially("job 77", delay=TYPING_MS)
    expect(page.get_by_role("link", name="job 779")).to_be_visible()
    return opened


def _job(page: Page, run: Run) -> float:
    """Open the job and follow it for some steps, scrolling up and down."""
    began = time.monotonic()
    page.goto(page.url.replace("#/fleet", f"#/jobs/{run.shown_id}"))
    reward = page.get_by_role("figure", name="Reward")
    expect(reward).to_contain_text("mean", timeout=120_000)
    opened = time.monotonic() - began
    first = NUM_STEPS + 1 + len(run.entries)
    for step in range(first, first + LIVE_STEPS):
        run.train(step, reward=0.5)
        _scroll(page)
    expect(reward).to_contain_text(f"step {first + LIVE_STEPS - 1:,}", timeout=60_000)
    return opened


def _scroll(page: Page) -> None:
    """Scroll down and up again."""
    for way in (1, -1):
        page.mouse.wheel(0, way * WHEEL_PX)


def _report(shown: str, rounds: list[tuple[float, float]]) -> None:
    seconds = median(opened for opened, _ in rounds)
    longest = max(block for _, block in rounds)
    met = "yes" if longest < LONGEST_BLOCK_MS else "no"
    told = f"{longest:.0f} ms" if longest else "under 50 ms"
    print(f"| {shown} | in {seconds:.2f} s | {told} | < {LONGEST_BLOCK_MS} ms | {met} |")


if __name__ == "__main__":
    main()
