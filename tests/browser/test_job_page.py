"""The page in a real browser, against the real API and a log that grows while it is open."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from store.access import keys, projects
from store.jobs import jobs
from store.jobs.outcomes import Completed, Failed
from store.states import Status, Wanted
from tests.browser.conftest import WIDTHS, Run, open_page, overflow, visit

ODD_TEXT = 'a\0b \ud83d <img src="x" onerror="document.title=1"> \u202etxet 数学'


def open_job(page: Page, address: str, key: str, run: Run) -> None:
    page.goto(f"{address}/#key={key}")
    page.get_by_role("link", name="two rollouts").click()
    expect(page.get_by_role("heading", name="two rollouts")).to_be_visible()
    assert page.url == f"{address}/#/jobs/{run.shown_id}"


def chart(page: Page, title: str) -> Locator:
    return page.get_by_role("figure", name=title, exact=True)


def sample(text: str) -> dict:
    def completion(reward: float, advantage: float) -> dict:
        scores = {"reward": reward, "rewards": {"number": reward}, "advantage": advantage}
        return {"text": text, **scores, "num_tokens": 7, "finish_reason": "stop"}

    group = [completion(1.0, 1.0), completion(0.0, -1.0)]
    return {"prompt": "1 + 1 = ?", "answer": "2", "outcome": "mixed", "completions": group}


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_a_job_is_followed_from_the_queue_to_its_end(
    width: int, chromium: Browser, address: str, key: str, run: Run, tmp_path: Path
):
    with visit(chromium, address, width=width) as page:
        open_job(page, address, key, run)
        expect(
            page.get_by_text(re.compile("Number 1 in the queue, waiting for .+ since"))
        ).to_be_visible()
        run.claim()
        run.write("phase", None, {"phase": "training", "total_steps": 4})
        run.write("eval", 0, {"eval/accuracy": 0.25})
        for step in (1, 2, 3):
            run.train(step, reward=step / 10, **{"groups/tied_fraction": 0.5})
        run.write("sample", 3, sample("earlier"))
        expect(chart(page, "Reward")).to_contain_text("step 3")
        expect(chart(page, "Reward")).to_contain_text("mean 0.3")
        expect(chart(page, "Held-out accuracy")).to_contain_text("right 25%")
        expect(chart(page, "Tied groups")).to_contain_text("tied 50%")
        expect(page.get_by_text("about 1 s left")).to_be_visible()
        run.train(4, reward=0.4)
        run.write("sample", 4, sample(ODD_TEXT))
        run.write("eval", 4, {"eval/accuracy": 0.75})
        texts = page.get_by_role("group", name="Text of completion 1")
        expect(texts).to_contain_text('aNULb \\ud83d <img src="x"')
        expect(texts).to_contain_text("U+202Etxet 数学")
        expect(page.get_by_text("advantage +1.00")).to_be_visible()
        expect(page.get_by_text("advantage -1.00")).to_be_visible()
        page.get_by_role("button", name="Earlier step").click()
        expect(texts).to_have_text("earlier")
        run.checkpoint(4, {"config.json": b"{}"}, final=True, folder=tmp_path / "checkpoint")
        run.finish(Completed())
        expect(page.locator(".head .status")).to_have_text("succeeded")
        expect(page.get_by_text("25% → 75%")).to_be_visible()
        assert page.title() == "two rollouts · succeeded · Duet"
        page.get_by_text("Step 4").last.click()
        with page.expect_download() as download:
            page.get_by_role("button", name="Download config.json").click()
        assert download.value.path().read_bytes() == b"{}"
        assert overflow(page) == 0
        page.get_by_role("link", name="Duet").click()
        expect(page.get_by_role("cell", name="75%")).to_have_count(1 if width > 760 else 0)
        assert overflow(page) == 0


def test_a_later_attempt_supersedes_the_steps_it_repeats(
    chromium: Browser, address: str, key: str, run: Run, tmp_path: Path
):
    run.claim()
    for step, reward in ((1, 0.1), (2, 0.2)):
        run.train(step, reward=reward)
    run.checkpoint(2, {"config.json": b"{}"}, final=False, folder=tmp_path / "checkpoint")
    run.train(3, reward=0.9)
    with visit(chromium, address) as page:
        open_job(page, address, key, run)
        expect(chart(page, "Reward")).to_contain_text("mean 0.9")
        error = {"code": "trainer_crashed", "message": "It crashed.", "hint": None}
        assert run.finish(Failed(error, retryable=True)) is Status.QUEUED
        run.claim()
        run.write("resumed", None, {"from_step": 2})
        expect(chart(page, "Reward")).to_contain_text("step 2")
        run.train(3, reward=0.3)
        expect(chart(page, "Reward")).to_contain_text("mean 0.3")
        expect(page.locator(".head")).to_contain_text("attempt 2")
        faults = "2, of which 1 ended in a fault and 1 resumed from a checkpoint"
        expect(page.get_by_role("img", name=f"Attempts over time: {faults}")).to_be_visible()
        first, second = page.locator(".attempts li").all()
        expect(first).to_contain_text("Attempt 1 failed")
        expect(first).to_contain_text("It crashed. trainer_crashed")
        first.get_by_text("Last lines of its log").click()
        expect(first.get_by_text("last words")).to_be_visible()
        expect(second).to_contain_text("Attempt 2 running")
        expect(second).to_contain_text("resumed from step 2")


def test_a_broken_stream_resumes_where_it_broke(
    chromium: Browser, address: str, key: str, run: Run
):
    run.claim()
    run.train(1, reward=0.1)
    run.train(2, reward=0.2)
    last = run.last_seq()
    asked: list[str | None] = []

    def stream(route: Route) -> None:
        asked.append(route.request.headers.get("last-event-id"))
        if len(asked) > 1:
            return route.continue_()
        run.train(3, reward=0.3)
        run.train(4, reward=0.4)
        record = {"seq": last + 1, "kind": "metric", "step": 3, "attempt": 1}
        data = json.dumps(record | {"payload": {"reward": 0.3}})
        whole = f"id: {last + 1}\r\nevent: record\r\ndata: {data}\r\n\r\n"
        return route.fulfill(
            content_type="text/event-stream", body=f"{whole}id: {last + 2}\r\nevent: rec"
        )

    with visit(chromium, address) as page:
        page.route("**/stream", stream)
        open_job(page, address, key, run)
        expect(chart(page, "Reward")).to_contain_text("mean 0.4")
        assert asked == [str(last), str(last + 1)]
        run.write("end", None, {"outcome": "failed"})
        run.finish(Failed({"code": "bad", "message": "No.", "hint": None}, retryable=False))
        expect(page.locator(".head .status")).to_have_text("failed")


def test_a_failed_job_shows_the_reason_and_what_to_do(
    chromium: Browser, address: str, key: str, run: Run
):
    run.claim()
    error = {"code": "bad_data", "message": "Line 7 is not JSON.", "hint": "Mend the line."}
    run.finish(Failed(error, retryable=False))
    with visit(chromium, address) as page:
        open_job(page, address, key, run)
        alert = page.get_by_role("alert")
        for text in ("Line 7 is not JSON.", "Mend the line.", "bad_data"):
            expect(alert).to_contain_text(text)
        alert.get_by_text("Last lines of the log").click()
        expect(alert.get_by_text("last words")).to_be_visible()


def test_cancelling_asks_for_confirmation_and_is_one_write(
    chromium: Browser, address: str, key: str, run: Run
):
    run.claim()
    with visit(chromium, address) as page:
        open_job(page, address, key, run)
        page.get_by_role("button", name="Cancel…").click()
        page.get_by_role("button", name="Cancel the job").click()
        expect(page.locator(".head .status")).to_have_text("cancelling")
        with run.database.session() as session:
            assert jobs.get(session, run.project_id, run.job_id).wanted is Wanted.CANCEL
        run.finish(Failed({"code": "bad", "message": "No.", "hint": None}, retryable=False))
        expect(page.locator(".head .status")).to_have_text("cancelled")


def test_a_key_that_only_reads_is_offered_nothing_that_it_may_not(
    chromium: Browser, address: str, key: str, run: Run, tmp_path: Path
):
    run.claim()
    run.train(1, reward=0.1)
    run.checkpoint(1, {"model.safetensors": b"w"}, final=True, folder=tmp_path / "made")
    run.finish(Completed())
    with run.database.session() as session:
        project = projects.get(session, run.project_id)
        reader = keys.create_key(session, project, "reader", ["read"])[1]
    for given, offered in ((reader, 0), (key, 1)):
        with open_page(chromium, address, given, f"#/jobs/{run.shown_id}") as page:
            page.locator("summary").filter(has_text="Step 1").click()
            expect(page.get_by_role("button", name="Download all")).to_be_visible()
            expect(page.get_by_role("button", name="Delete…")).to_have_count(offered)
            expect(page.get_by_role("button", name="Fork…")).to_have_count(2 * offered)
            expect(page.get_by_role("link", name="start a similar job")).to_have_count(offered)
