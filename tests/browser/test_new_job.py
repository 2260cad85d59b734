"""Writing and submitting a job on the page, without instructions."""

import json
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, expect
from sqlalchemy import select

from grpo.spec.resolve import resolve
from store.tables import Job
from tests.browser.conftest import Run, open_page, overflow
from tests.browser.test_every_page import severe

YAML = """\
# a comment of the author
preset: demo
algorithm:
  group_size: 2
  ties: {policy: grow, grow_limit: 2}
rollout: {stop: ["\\n"]}
"""


def field(page: Page, label: str) -> Locator:
    """Find a field by the start of its label, which a hint may follow."""
    return page.get_by_label(re.compile(rf"^\s*{label}")).first


def cost(page: Page, row: str) -> Locator:
    return page.locator(".estimate tbody tr").filter(has_text=row).locator("td")


def submitted(run: Run) -> list[dict[str, Any]]:
    """The specs of all jobs, the newest first."""
    with run.database.session() as session:
        return list(session.scalars(select(Job.spec).order_by(Job.id.desc())))


def test_the_demo_is_submitted_once_and_its_cost_follows_what_is_written(
    chromium: Browser, address: str, key: str, run: Run
):
    with open_page(chromium, address, key, "#/new", writes=True) as page:
        page.get_by_role("radio", name="demo").check()
        expect(cost(page, "Rollouts")).to_have_text(["8,192", "65,536"])
        expect(cost(page, "Steps")).to_have_text(["16", "16"])
        expect(page.get_by_text("87.5% fewer rollouts than with groups of 16.")).to_be_visible()
        expect(page.locator(".estimate .own").first).to_have_text("2 this job")
        field(page, "Group size").fill("4")
        expect(cost(page, "Rollouts")).to_have_text(["8,192", "16,384", "65,536"])
        field(page, "Max steps").fill("8")
        expect(cost(page, "Rollouts")).to_have_text(["4,096", "8,192", "32,768"])
        field(page, "Name").fill("my first")
        page.get_by_role("link", name="Jobs").click()
        expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
        page.go_back()
        expect(field(page, "Name")).to_have_value("my first")
        page.get_by_role("button", name="Start training").dblclick()
        expect(page.get_by_role("heading", name="my first")).to_be_visible()
        assert "#/jobs/job_" in page.url
        spec, first = submitted(run)
        assert first["name"] == "two rollouts"
        assert spec == resolve(
            {
                "name": "my first",
                "preset": "demo",
                "algorithm": {"group_size": 4},
                "budget": {"max_steps": 8},
            }
        ).model_dump(mode="json")
        page.get_by_role("link", name="New job").click()
        expect(page.get_by_role("radio", name="demo")).not_to_be_checked()


def test_a_phone_and_a_keyboard_are_enough(chromium: Browser, address: str, key: str, run: Run):
    with open_page(chromium, address, key, "#/new", width=390, writes=True) as page:
        page.get_by_role("radio", name="demo").focus()
        page.keyboard.press("Space")
        expect(cost(page, "Rollouts")).to_have_text(["8,192", "65,536"])
        field(page, "Name").focus()
        page.keyboard.type("by keys")
        page.keyboard.press("Enter")
        assert overflow(page) == 0
        for fold in page.locator("details.section > summary").all():
            if fold.is_visible():
                fold.press("Enter")
        expect(page.locator("details.section[open]").first).to_be_visible()
        assert overflow(page) == 0
        assert severe(page) == []
        submit = page.get_by_role("button", name="Start training")
        submit.focus()
        assert len(submitted(run)) == 1
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="by keys")).to_be_visible()


def test_text_and_form_show_one_spec_with_errors_at_their_fields(
    chromium: Browser, address: str, key: str, run: Run
):
    with open_page(chromium, address, key, "#/new", writes=True) as page:
        page.get_by_role("button", name="Paste YAML or JSON").click()
        text = page.get_by_label("The job's spec")
        text.fill("preset: demo\nname: [")
        page.reload()
        expect(page.get_by_role("alert")).to_contain_text("Line 2")
        expect(page.get_by_role("button", name="Form", exact=True)).to_be_disabled()
        expect(page.get_by_role("button", name="Start training")).to_be_disabled()
        text.fill("seed: 9007199254740993")
        expect(page.get_by_role("alert")).to_contain_text("cannot send 9007199254740992")
        text.fill(YAML)
        finding = page.locator(".findings")
        expect(finding).to_contain_text("grow_limit")
        page.get_by_role("button", name="Form", exact=True).click()
        page.get_by_role("button", name="YAML").click()
        expect(text).to_have_value(YAML)
        page.get_by_role("button", name="Form", exact=True).click()
        page.get_by_role("button", name="Start training").click()
        limit = field(page, "Grow limit")
        expect(limit).to_be_focused()
        expect(limit).to_have_attribute("aria-invalid", "true")
        expect(limit.locator("xpath=..")).to_contain_text("must be at least 3")
        limit.fill("8")
        expect(finding).to_have_text("")
        expect(page.get_by_text("Not available for other group sizes")).to_be_visible()
        expect(limit).not_to_have_attribute("aria-invalid", "true")
        field(page, "Policy").select_option("drop")
        limit.fill("")
        page.get_by_role("button", name="YAML").click()
        expect(text).to_have_value(
            "preset: demo\nalgorithm:\n  group_size: 2\n  ties:\n    policy: drop\nrollout:\n"
            '  stop:\n    - "\\n"\n'
        )
        assert len(submitted(run)) == 1
        page.goto(f"{address}/#/new?from={run.shown_id}")
        expect(field(page, "Name")).to_have_value("two rollouts")
        page.get_by_role("button", name="YAML").click()
        expect(text).to_have_value("preset: demo\nname: two rollouts\n")


def test_a_file_becomes_prompts_and_answers(
    chromium: Browser, address: str, key: str, run: Run, tmp_path: Path
):
    rows = [{"sum": "2+3", "total": "so 5"}, {"sum": "4+4", "total": "so 8"}]
    good, bad = tmp_path / "sums.jsonl", tmp_path / "bad.jsonl"
    good.write_text("".join(json.dumps(row) + "\n" for row in rows))
    bad.write_text('{"sum": "1"}\n{"sum": \n')
    with open_page(chromium, address, key, "#/new?preset=demo", writes=True) as page:
        choose = page.locator("input[type=file]")
        choose.set_input_files(bad)
        expect(page.get_by_role("alert")).to_contain_text("bad.jsonl: line 2")
        choose.set_input_files(good)
        expect(field(page, "Training data")).to_have_value(re.compile("^file_"))
        expect(page.get_by_role("alert")).to_have_count(0)
        prompt = field(page, "Prompt template")
        expect(prompt.locator("xpath=..")).to_contain_text("has the field 'question'")
        prompt.fill("Add: ")
        page.get_by_role("button", name="{{sum}}").click()
        field(page, "Answer template").fill("{{total}}")
        field(page, "Answer marker").fill("so")
        shown = page.locator(".preview .example")
        expect(shown).to_have_text(["prompt Add: 2+3answer 5", "prompt Add: 4+4answer 8"])
        expect(page.locator(".findings")).to_contain_text("no row of data.eval has the field 'sum'")
        field(page, "Held-out data").select_option("")
        expect(page.locator(".findings")).to_have_text("")
        tried = page.locator(".estimate").filter(has_text="Completion").locator("tbody td")
        expect(tried).to_have_text(["1", "0", "0", "0"])
        page.get_by_role("button", name="Add a reward").click()
        field(page, "Reward").select_option("number")
        page.get_by_role("button", name="Start training").click()
        expect(page.get_by_role("heading", name="untitled")).to_be_visible()
        spec = submitted(run)[0]
        assert spec["data"]["train"].startswith("file_")
        assert spec["data"]["prompt"] == "Add: {{sum}}"
        assert spec["data"]["eval"] is None
        assert [reward["type"] for reward in spec["rewards"]] == ["number", "format"]


def test_a_draft_survives_its_tab_and_is_discarded_after_confirmation(
    chromium: Browser, address: str, key: str
):
    with open_page(chromium, address, key, "#/new?preset=demo", writes=True) as page:
        field(page, "Name").fill("my draft")
        other = page.context.new_page()
        page.close()
        other.goto(f"{address}/#/new?preset=demo")
        expect(field(other, "Name")).to_have_value("my draft")
        start_over = other.get_by_role("button", name="Start over… with an empty form")
        start_over.click()
        other.get_by_role("button", name="Cancel", exact=True).click()
        expect(field(other, "Name")).to_have_value("my draft")
        start_over.click()
        other.get_by_role("button", name="Discard").click()
        expect(other).to_have_url(f"{address}/#/new")
        other.goto(f"{address}/#/new?preset=demo")
        expect(field(other, "Name")).to_have_value("")
        field(other, "Name").fill("again")
        other.get_by_role("button", name="Sign out").click()
        expect(other.get_by_label("API key")).to_be_visible()
        assert other.evaluate("JSON.stringify({...localStorage})") == "{}"
