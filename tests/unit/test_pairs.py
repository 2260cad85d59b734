"""Preference pairs from rollout files, by hand."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from grpo.reporting.preference_pairs import preference_pairs
from grpo.reporting.records import write_rollouts
from grpo.reporting.run_directory import RunDirectoryError


def rows(step: int, group: int, rewards: list[float], outcome: str) -> list[dict[str, Any]]:
    return [
        {
            "step": step,
            "group": group,
            "row": 7,  # the same prompt, drawn again and again
            "source": "sums",
            "outcome": outcome,
            "discarded": False,
            "sibling": sibling,
            "prompt": "1+1=",
            "text": f"{step}.{group}.{sibling} é\n",
            "reward": reward,
        }
        for sibling, reward in enumerate(rewards)
    ]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two steps: contrasts of two and of five completions, and ties, one within a margin."""
    (tmp_path / "records.jsonl").touch()
    first = [
        *rows(1, 0, [1, 0], "mixed"),
        *rows(1, 1, [1, 1], "tied"),
        *rows(1, 2, [0, 1], "mixed"),
    ]
    second = [
        *rows(2, 0, [0.5, 0.25, 1, 1, 0.25], "mixed"),
        *rows(2, 1, [0.5, 0.51], "tied"),
    ]
    write_rollouts(tmp_path / "rollouts", step=2, rows=second)
    write_rollouts(tmp_path / "rollouts", step=1, rows=first)
    return tmp_path


def text(messages: list[dict[str, str]]) -> str:
    [message] = messages
    assert message["role"] == "assistant"
    return message["content"]


def test_a_pair_has_the_messages_that_the_model_was_asked_with(tmp_path: Path):
    asked = [
        {"role": "system", "content": "Add."},
        {"role": "user", "content": "1+1="},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "2+1="},
    ]
    (tmp_path / "records.jsonl").touch()
    flat = "user: 1+1=\n\nassistant: 2\n\nuser: 2+1="
    drawn = [{**row, "prompt": flat, "messages": asked} for row in rows(1, 0, [0, 1], "mixed")]
    write_rollouts(tmp_path / "rollouts", step=1, rows=drawn)
    [pair] = preference_pairs(tmp_path)
    assert pair["prompt"] == asked
    assert pair["chosen"] == [{"role": "assistant", "content": "1.0.1 é\n"}]


def test_each_contrast_yields_its_best_and_worst_completion_in_step_order(run: Path):
    pairs = list(preference_pairs(run))
    said = [(pair["step"], text(pair["chosen"]), text(pair["rejected"])) for pair in pairs]
    assert said == [
        (1, "1.0.0 é\n", "1.0.1 é\n"),
        (1, "1.2.1 é\n", "1.2.0 é\n"),
        (2, "2.0.2 é\n", "2.0.1 é\n"),  # of equals the first drawn
    ]
    assert pairs[2] == {
        "prompt": [{"role": "user", "content": "1+1="}],
        "chosen": [{"role": "assistant", "content": "2.0.2 é\n"}],
        "rejected": [{"role": "assistant", "content": "2.0.1 é\n"}],
        "step": 2,
        "row": 7,
        "source": "sums",
        "reward_chosen": 1,
        "reward_rejected": 0.25,
    }


def test_a_run_that_still_writes_gives_the_steps_it_has_made(run: Path):
    (run / "rollouts/.step-000003.jsonl.zst.tmp").write_bytes(b"half")
    assert [pair["step"] for pair in preference_pairs(run)] == [1, 1, 2]


def test_a_run_before_its_first_step_has_no_pairs(tmp_path: Path):
    (tmp_path / "records.jsonl").touch()
    assert list(preference_pairs(tmp_path)) == []


def test_a_folder_without_a_run_is_refused_before_anything_is_written(tmp_path: Path):
    with pytest.raises(RunDirectoryError, match="is not a run directory"):
        preference_pairs(tmp_path)


def pairs_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "grpo", "pairs", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_prints_a_json_line_a_pair_or_writes_them_to_a_file(run: Path, tmp_path: Path):
    printed = pairs_command(str(run))
    assert printed.returncode == 0
    assert [json.loads(line) for line in printed.stdout.splitlines()] == list(preference_pairs(run))
    assert printed.stderr == "3 pairs\n"
    file = tmp_path / "pairs.jsonl"
    assert pairs_command(str(run), "--out", str(file)).stdout == ""
    assert file.read_text() == printed.stdout


def test_without_a_run_the_command_writes_no_file(tmp_path: Path):
    file = tmp_path / "pairs.jsonl"
    file.write_text("mine")
    refused = pairs_command(str(tmp_path), "--out", str(file))
    assert (refused.returncode, file.read_text()) == (2, "mine")
    assert "is not a run directory" in refused.stderr
