"""Both presets of the paper run unmodified, through the API."""

import json
from pathlib import Path

import pytest

from tests.endtoend.conftest import Stack

RESOLVED = Path(__file__).parents[1] / "unit" / "presets"


@pytest.mark.parametrize(
    ("preset", "group_size"),
    [("2-grpo", 2), pytest.param("16-grpo", 16, marks=pytest.mark.nightly)],
)
def test_the_papers_preset_runs_through_the_api(stack: Stack, preset: str, group_size: int):
    short = {"rollout": {"max_tokens": 32}, "budget": {"max_steps": 1}}
    job = stack.submit({"preset": preset, **short})
    done = stack.finished(job)
    assert done["status"] == "succeeded", done["error"]

    expected = json.loads((RESOLVED / f"{preset}.json").read_text())
    for section, changed in short.items():
        expected[section] |= changed
    assert done["spec"] == expected

    latest = done["latest_metrics"]
    assert latest["num_rollouts"] == 512
    sample = stack.records(job, kind="sample")[0]["payload"]
    assert len(sample["completions"]) == group_size
