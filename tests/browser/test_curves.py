"""A job's curves: axis, smoothing and zoom."""

import re
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from store.jobs.outcomes import Failed
from tests.browser.conftest import Run, overflow, visit
from tests.browser.test_job_page import chart, open_job
from tests.waiting import deadline

NUM_STEPS = 100
CRASH = Failed({"code": "trainer_crashed", "message": "It crashed.", "hint": None}, retryable=True)
RED_PIXELS = """(canvas) => {
    const { width, height } = canvas;
    const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, width, height);
    let count = 0;
    for (let i = 0; i < data.length; i += 4) {
        if (data[i + 3] > 200 && Math.abs(data[i] - 179) + Math.abs(data[i + 1] - 38) < 20) count++;
    }
    return count;
}"""


def train(run: Run, first: int, last: int) -> None:
    """Steps of 8 rollouts, 80 tokens and 90 seconds each."""
    for step in range(first, last + 1):
        cost = {"num_rollouts": 8.0 * step, "num_tokens": 80.0 * step, "step_time": 90.0}
        phases = {"seconds/rollout": 60.0, "seconds/update": 30.0}
        keep = {"groups/keep_rate": 0.4, "groups/expected_keep_rate": 0.42}
        run.train(step, reward=step / 100, **cost, **phases, **keep)


def over(page: Page) -> Locator:
    return page.get_by_role("combobox", name="Over", exact=True)


def point_at(page: Page, title: str, part: float) -> None:
    """Move the pointer to a fraction of a chart's width."""
    area = chart(page, title).locator(".u-over")
    width = area.evaluate("(area) => area.clientWidth")
    area.hover(position={"x": 1 + part * (width - 2), "y": 60})


def test_curves_are_drawn_over_what_they_cost_smoothed_and_zoomed_together(
    chromium: Browser, address: str, key: str, run: Run
):
    run.claim()
    train(run, 1, NUM_STEPS - 1)
    with visit(chromium, address) as page:
        open_job(page, address, key, run)
        reward, phases = chart(page, "Reward"), chart(page, "Time per step")
        expect(chart(page, "Keep rate")).to_contain_text("kept 40%")
        expect(chart(page, "Keep rate")).to_contain_text("expected 42%")
        expect(phases).to_contain_text("rollout 60 s")
        expect(phases).to_contain_text("update 30 s")
        expect(page.locator(".u-over")).to_have_count(12)
        point_at(page, "Reward", 0.5)
        page.mouse.down()
        point_at(page, "Reward", 0.8)
        page.mouse.up()
        point_at(page, "Gradient norm", 0)
        expect(reward).to_contain_text(re.compile("step (50|51)mean"))
        point_at(page, "Gradient norm", 1)
        expect(reward).to_contain_text(re.compile("step (78|79|80)mean"))
        chart(page, "Entropy").locator(".u-over").dblclick()
        point_at(page, "Entropy", 0)
        expect(reward).to_contain_text("step 1mean")
        expect(page.get_by_role("button", name="Whole run")).to_be_disabled()
        for axis, told in (("rollouts", "792"), ("tokens", "7.92K"), ("seconds", "2 h 28 min")):
            over(page).select_option(axis)
            expect(reward).to_contain_text(told)
        train(run, NUM_STEPS, NUM_STEPS)  # what arrives goes on where the server's account ended
        expect(reward).to_contain_text("2 h 30 min")
        page.get_by_label("Smoothing").fill("0.9")
        expect(page.get_by_text("0.90")).to_be_visible()
        assert overflow(page) == 0


def test_a_resumed_attempt_is_marked_where_it_took_the_curves_up_again(
    chromium: Browser, address: str, key: str, run: Run, tmp_path: Path
):
    run.claim()
    train(run, 1, 4)
    run.checkpoint(4, {"config.json": b"{}"}, final=False, folder=tmp_path / "checkpoint")
    train(run, 5, 6)
    with visit(chromium, address) as page:
        open_job(page, address, key, run)
        reward = chart(page, "Reward")
        expect(reward).to_contain_text("step 6")
        assert reward.locator("canvas").evaluate(RED_PIXELS) == 0
        run.finish(CRASH)
        run.claim()
        run.write("resumed", None, {"from_step": 4})
        expect(page.get_by_text("an attempt resumed; red: after a fault")).to_be_visible()
        latest = time.monotonic() + deadline(10)  # the chart takes its turn
        while (red := reward.locator("canvas").evaluate(RED_PIXELS)) <= 50:
            assert time.monotonic() < latest, f"{red} red pixels"
            page.wait_for_timeout(50)


ARITHMETIC = (
    """async ([name, ...values]) => (await import("./js/charts/series.js"))[name](...values)"""
)
POINTS = [{"step": 2, "value": 10}, {"step": 4, "value": 30}, {"step": 5, "value": None}]


def test_curves_are_computed_as_by_hand(chromium: Browser, address: str):
    with visit(chromium, address) as page:

        def worked(*call: Any) -> list[Any]:
            return page.evaluate(ARITHMETIC, call)

        # The third: an eighth of 1, a quarter of 3 and a half of 5, over their seven eighths.
        halves = worked("smoothed", [1, 3, None, 5], 0.5)
        assert halves == [1, pytest.approx(7 / 3), None, pytest.approx(27 / 7)]
        assert worked("smoothed", [1, 3, 5], 0) == [1, 3, 5]
        assert worked("valuesAt", [1, 2, 3, 4, 9], POINTS) == [10, 10, 20, 30, 30]
        rollout, update = [4, None, 8], [1, 1, None]
        assert worked("stacked", [1, 2, 3], [rollout, update], 0) == [[4, 6, 8], [5, 7, 9]]
