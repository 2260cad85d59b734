"""The list of jobs: empty, with a link to the demo, and with a thousand."""

from playwright.sync_api import Browser, Page, expect
from sqlalchemy import text

from store.database.database import Database
from tests.browser.conftest import Run, open_page, overflow
from tests.browser.test_long_job import LONGEST_BLOCK_MS, WATCHING

NUM_JOBS = 1_000
COPYING = """
    insert into jobs select (jsonb_populate_record(job, jsonb_build_object(
        'id', '00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'),
        'name', 'job ' || n, 'status', case n % 2 when 0 then 'succeeded' else 'cancelled' end,
        'labels', jsonb_build_object('tenth', (n % 10)::text), 'finished_at', now()))).*
    from jobs job, generate_series(1, :number) n where job.id = :job
"""


def names(page: Page) -> list[str]:
    return page.locator("tbody th > a:first-child").all_text_contents()


def test_the_demo_job_starts_with_one_click_on_an_empty_list(
    chromium: Browser, address: str, key: str, database: Database
):
    with open_page(chromium, address, key, "#/", width=390) as page:
        assert overflow(page) == 0
        page.get_by_role("button", name="Run the demo job").dblclick()
        expect(page.get_by_role("heading", level=1)).to_have_text("arithmetic demo")
        page.get_by_role("link", name="Jobs").click()
        expect(page.locator(".status.queued")).to_be_visible()
        assert overflow(page) == 0
    with database.session() as session:
        assert session.execute(text("select count(*) from jobs")).scalar_one() == 1


def test_a_thousand_jobs_are_found_paged_and_chosen_and_never_block_the_page(
    chromium: Browser, address: str, key: str, run: Run
):
    with run.database.session() as session:
        session.execute(text(COPYING), {"job": run.job_id, "number": NUM_JOBS})
    run.claim()
    for step, reward in ((1, 0.0), (2, 1.0)):
        run.train(step, reward=reward)
    with open_page(chromium, address, key, "#/") as page:
        page.add_init_script(WATCHING)
        page.reload()
        row = page.get_by_role("row").filter(has_text="two rollouts")
        expect(row).to_contain_text("by admin")
        expect(row.locator("polyline")).to_have_attribute("points", "2.0,20.0 82.0,2.0")
        assert names(page)[:3] == ["two rollouts", "job 1000", "job 999"]
        run.train(3, reward=0.25)
        expect(row).to_contain_text("0.25")
        page.get_by_role("link", name="More jobs").click()
        expect(page.get_by_role("link", name="job 951")).to_have_count(0)
        expect(page.get_by_role("link", name="job 950", exact=True)).to_be_visible()
        page.get_by_label("Compare job 950", exact=True).check()
        page.go_back()
        expect(page.get_by_role("link", name="job 1000")).to_be_visible()
        page.get_by_label("Compare job 999", exact=True).check()
        expect(page.get_by_role("button", name="Compare 2 jobs")).to_be_enabled()
        page.get_by_label("Part of the name").fill("job 99")
        expect(page.get_by_role("link", name="job 1000")).to_have_count(0)
        assert names(page) == [f"job {n}" for n in (*range(999, 989, -1), 99)]
        page.get_by_label("Status").select_option("succeeded")
        expect(page.get_by_role("link", name="job 999")).to_have_count(0)
        page.get_by_role("row").filter(has_text="job 996").get_by_title("Jobs with this").click()
        expect(page.get_by_role("link", name="job 506", exact=True)).to_be_visible()
        page.go_back()
        assert page.evaluate("window.longest") < LONGEST_BLOCK_MS
        page.reload()
        assert page.url == f"{address}/#/?text=job+99&status=succeeded"
        expect(page.get_by_role("link", name="job 998")).to_be_visible()
        assert names(page) == [f"job {n}" for n in (998, 996, 994, 992, 990)]
        page.get_by_label("Order").select_option("by name")
        expect(page.locator("tbody a").first).to_have_text("job 990")
        assert names(page) == [f"job {n}" for n in (990, 992, 994, 996, 998)]
        page.get_by_title("Jobs of this model").first.click()
        expect(
            page.get_by_role("link", name="Remove the filter model tiny-arithmetic")
        ).to_be_visible()
        page.get_by_label("Part of the name").fill("no such")
        page.get_by_role("link", name="Show all jobs").click()
        expect(page.get_by_role("link", name="two rollouts")).to_be_visible()
