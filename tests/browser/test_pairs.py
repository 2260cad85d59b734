"""The pair viewer: a prompt's completions side by side, with the winner and its rewards."""

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import WIDTHS, Run, overflow, visit
from tests.browser.test_job_page import open_job


def token(text: str, sampler: float, policy: float | None) -> dict[str, Any]:
    return {"text": text, "sampler_logprob": sampler, "policy_logprob": policy}


def group(outcome: str, prompt: str, *rewards: float) -> dict[str, Any]:
    """A group of the two parts `right` and `short`; the mixed ones know their tokens."""
    mixed = outcome == "mixed"
    completions = [
        {
            "text": f"{prompt}{place}",
            "reward": reward + 0.1,
            "rewards": {"right": reward, "short": 0.1},
            "advantage": (1.0 if reward else -1.0) if mixed else 0.0,
            "num_tokens": 2,
            "finish_reason": "stop",
            "tokens": [token(prompt, -0.5, -0.51), token(str(place), -2.0, -2.5)]
            if mixed
            else None,
        }
        for place, reward in enumerate(rewards)
    ]
    return {"prompt": prompt, "answer": "4", "outcome": outcome, "completions": completions}


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_a_pair_shows_the_winner_the_rewards_and_the_logprob_gaps(
    width: int, chromium: Browser, address: str, key: str, run: Run
):
    run.claim()
    for step in (1, 2, 3):
        run.train(step, reward=0.5)
        run.write("sample", step, group("mixed", f"mixed{step}", 0.0, 1.0))
        if step < 3:
            run.write("sample", step, group("tied", f"tied{step}", 1.0, 1.0))
    with visit(chromium, address, width=width) as page:
        open_job(page, address, key, run)
        lost, won = (page.get_by_role("group", name=f"Completion {n}", exact=True) for n in (1, 2))
        expect(won).to_contain_text("won")
        expect(won).to_contain_text("reward 1.1")
        expect(won).to_contain_text("right 1")
        expect(won).to_contain_text("short 0.1")
        expect(won).to_contain_text("advantage +1.00")
        expect(lost).to_contain_text("lost")
        expect(lost).to_contain_text("advantage -1.00")
        drifted = won.get_by_text("1", exact=True).and_(won.locator(".gap-3"))
        expect(drifted).to_have_attribute("title", "sampler -2.00, policy -2.50, gap 0.50 nats")
        expect(won.locator("pre .gap-0")).to_have_text("mixed3")
        page.get_by_label("Step of the samples").fill("2")
        expect(page.locator(".group")).to_have_count(2)
        page.get_by_label("Which groups").select_option("tied")
        expect(page.locator(".group")).to_have_count(1)
        expect(page.locator(".group")).to_contain_text("tied: no gradient")
        expect(page.locator(".group")).to_contain_text("tied2")
        page.get_by_role("button", name="Later step").click()
        expect(page.get_by_text("No tied group was logged for step 3.")).to_be_visible()
        assert overflow(page) == 0
