"""Comparison of jobs selected in the list, with the paper's results."""

import pytest
from playwright.sync_api import Browser, expect

from grpo.spec.resolve import resolve
from store.access import keys
from store.jobs import jobs
from tests.browser.conftest import WIDTHS, Run, overflow, visit
from tests.browser.test_job_page import chart
from tests.waiting import deadline


def trained(
    first: Run, key: str, *, group_size: int, score: float, rollouts: int, seconds: float
) -> Run:
    """Another job of the same project, evaluated at its two steps."""
    sizes = {"algorithm": {"group_size": group_size}, "name": f"groups of {group_size}"}
    with first.database.session() as session:
        owner = keys.authenticate(session, key)
        assert owner is not None
        spec = resolve({"preset": "demo", **sizes})
        job = jobs.submit(
            session, project_id=owner.project_id, key_id=owner.id, spec=spec, total_steps=2
        )
        run = Run(first.database, first.artifacts, first.project_id, job.id)
    run.claim()
    for step in (1, 2):
        cost = {"num_rollouts": step * rollouts, "num_tokens": step * rollouts * 10}
        run.write("metric", step, {"reward": 0.5, "step_time": seconds, **cost})
        run.write("eval", step, {"eval/accuracy": score * step / 2})
    return run


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_two_jobs_are_compared_with_each_other_and_with_the_paper(
    width: int, chromium: Browser, address: str, key: str, run: Run
):
    run.claim()
    trained(run, key, group_size=16, score=0.8, rollouts=800, seconds=100)
    late = trained(run, key, group_size=2, score=0.76, rollouts=100, seconds=25)
    with visit(chromium, address, width=width) as page:
        page.goto(f"{address}/#key={key}")
        compare = page.get_by_role("button", name="Choose jobs to compare")
        expect(compare).to_be_disabled()
        assert overflow(page) == 0
        for size in (16, 2):
            page.get_by_role("checkbox", name=f"Compare groups of {size}", exact=True).check()
        page.get_by_role("button", name="Compare 2 jobs").click()
        curves = chart(page, "Held-out accuracy")
        expect(curves).to_contain_text("step 2")
        expect(curves).to_contain_text("groups of 16 (groups of 16) 80%")
        expect(curves).to_contain_text("groups of 2 (groups of 2) 76%")
        expect(page.get_by_role("heading", name="Against groups of 16")).to_be_visible()
        rows = page.locator(".scroll tbody tr")
        expect(rows.nth(0)).to_contain_text("baseline")
        told = rows.nth(1).locator("td").all_text_contents()
        assert told == ["2", "76%", "95%", "200", "87.5%", "50 s", "75%"]
        paper = rows.nth(2)
        for number in ("98.1%", "12.5%", "87.5%", "about 21%"):
            expect(paper).to_contain_text(number)
        page.get_by_label("Against").select_option(label="groups of 2")
        expect(page.get_by_role("heading", name="Against groups of 2")).to_be_visible()
        expect(rows.nth(0)).to_contain_text("105.3%")
        late.train(3, reward=0.9)
        late.write("eval", 3, {"eval/accuracy": 0.9})
        expect(rows.nth(1)).to_contain_text("90%", timeout=1000 * deadline(15))
        page.get_by_text("The paper's own numbers").click()
        expect(page.get_by_text("69.28")).to_be_visible()
        page.get_by_label("Over").select_option("rollouts")
        expect(curves).to_contain_text("1.6K rollouts")
        page.get_by_label("Over").select_option("seconds")
        expect(curves).to_contain_text("3 min 20 s")
        page.get_by_label("Curve").select_option("reward")
        expect(chart(page, "Reward")).to_contain_text("0.5")
        assert overflow(page) == 0
