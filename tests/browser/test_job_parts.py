"""Parts of a job's page other than curves: settings, records, pairs as a file."""

import subprocess
import sys
import tarfile
from pathlib import Path

import httpx
import yaml
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Run, overflow, visit
from tests.browser.test_every_page import lived
from tests.browser.test_job_page import open_job

PRETENDED = """
import json, sys, types
class Client:
    class jobs:
        create = staticmethod(lambda spec: types.SimpleNamespace(id=json.dumps(spec)))
sys.modules["duet"] = types.SimpleNamespace(Client=Client)
"""


def written(page: Page, language: str) -> str:
    page.get_by_label("Written as").select_option(language)
    return page.get_by_role("group", name=f"The job as {language}").inner_text()


def test_a_jobs_settings_are_compared_with_its_preset_and_can_be_reused(
    chromium: Browser, address: str, key: str, run: Run, tmp_path: Path
):
    lived(run, tmp_path / "checkpoint")
    spec = {"name": 'it\'s "another"', "preset": "demo", "seed": 7, "rollout": {"stop": ["\n"]}}
    with httpx.Client(base_url=address, headers={"authorization": f"Bearer {key}"}) as http:
        job = http.post("/v1/jobs", json=spec).json()["id"]
    with visit(chromium, address, width=390) as page:
        page.goto(f"{address}/#key={key}")
        page.get_by_role("button", name="Sign out").wait_for()
        page.goto(f"{address}/#/jobs/{job}")
        page.get_by_text("Settings, and how to ask for them again").click()
        table = page.get_by_role("group", name="Settings")
        rows = [row.split("\t") for row in table.inner_text().splitlines()[1:]]
        assert rows == [["seed", "7", "0"], ["rollout.stop", r'["\n"]', "[]"]]
        page.get_by_label("All settings").check()
        expect(table).to_contain_text("algorithm.group_size")
        text = written(page, "YAML")
        assert yaml.safe_load(text) == spec
        program = PRETENDED + written(page, "Python")
        asked = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert yaml.safe_load(asked.stdout) == spec
        command = written(page, "curl")
        answer = subprocess.run(
            ["bash", "-c", command], env={"DUET_API_KEY": key}, capture_output=True, check=True
        )
        assert yaml.safe_load(answer.stdout)["spec"]["seed"] == 7
        assert overflow(page) == 0
        page.get_by_role("link", name="start a similar job").click()
        expect(page.get_by_role("heading", name="New job")).to_be_visible()


def test_records_are_found_by_kind_and_pairs_saved_as_a_file(
    chromium: Browser, address: str, key: str, run: Run, tmp_path: Path
):
    lived(run, tmp_path / "checkpoint")
    with visit(chromium, address) as page:
        open_job(page, address, key, run)
        with page.expect_download() as download:
            page.get_by_role("button", name="Export as preference pairs").click()
        assert download.value.suggested_filename == f"{run.shown_id}-pairs.jsonl"
        page.get_by_text("Step 4").last.click()
        with page.expect_download() as download:
            page.get_by_role("button", name="Download all as one tar archive").click()
        with tarfile.open(download.value.path()) as archive:
            assert [Path(name).name for name in archive.getnames()] == ["config.json"]
        page.get_by_text("Records of the log").click()
        records = page.get_by_role("list", name="Records").get_by_role("listitem")
        kinds = records.locator(".tag")
        expect(kinds.filter(has_text="resumed")).to_have_count(1)
        assert set(kinds.all_text_contents()) == {"status", "checkpoint", "resumed"}
        page.get_by_label("Which records").select_option("Evaluations")
        expect(records).to_have_count(1)
        expect(records).to_contain_text("step 4, attempt 1")
        expect(records).to_contain_text("eval/accuracy 0.5")
        page.get_by_label("Which records").select_option("Newest metrics")
        expect(records).to_have_count(8)
        page.locator(".list .actions").get_by_role("button", name="Fork…").click()
        page.get_by_role("button", name="Start the fork").click()
        expect(page.get_by_role("heading", name="two rollouts, forked")).to_be_visible()
