"""Commands on jobs and sweeps: submitted, listed, watched, compared."""

import json
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from store.ids import encode
from store.jobs.outcomes import Failed
from tests.service.api.command_line.conftest import Duet
from tests.service.api.hand import Hand, sample
from tests.service.duet_process import Terminal, environment

JOB = re.compile(r"job_[0-9a-f]{32}")
PNG = b"\x89PNG\r\n\x1a\n"


def test_a_submitted_job_is_what_the_file_and_the_settings_say(
    duet: Duet, spec: Path, http: httpx.Client
):
    job = duet("submit", spec, "--set", "algorithm.group_size=4", "--set", "name=four").stdout
    told = http.get(f"/v1/jobs/{job.strip()}").json()
    assert (told["name"], told["spec"]["algorithm"]["group_size"]) == ("four", 4)
    answer = json.loads(duet("submit", spec, "--json").stdout)
    assert http.get(f"/v1/jobs/{answer['id']}").json()["name"] == answer["name"] == "mine"
    refused = duet("submit", spec, "--set", "algorithm.group_sizes=4", code=2)
    assert refused.stdout == ""
    assert refused.stderr == (
        "Error: Unprocessable Entity\n"
        "  /algorithm/group_sizes: unknown field; did you mean 'group_size'?\n"
    )


def test_an_estimate_compares_two_rollouts_with_sixteen(duet: Duet, spec: Path, http: httpx.Client):
    """The demo's 16 steps of 256 prompts: 8,192 and 65,536 rollouts of 64 tokens after 32."""
    lines = duet("estimate", spec).stdout.splitlines()
    told = {line[:16].strip(): line[16:].split() for line in lines}
    assert lines[1].split() == ["2", "per", "prompt", "16", "per", "prompt"]
    assert told["steps"] == ["16", "16"]
    assert told["rollouts"] == ["8,192", "65,536"]
    assert told["tokens at most"] == ["786,432", "6,291,456"]
    assert told["time"] == ["?", "?"]
    assert all(len(line) <= 80 for line in lines)
    narrow = duet("estimate", spec, "--group-size", 4, columns=40).stdout
    assert all(len(line) <= 40 for line in narrow.splitlines()), narrow
    raw = json.loads(duet("estimate", spec, "--group-size", 8, "--json").stdout)
    assert [each["group_size"] for each in raw["estimates"]] == [2, 8]
    assert http.get("/v1/jobs").json()["data"] == []
    wrong = ("--set", "algorithm.loss=x")
    refused = duet("estimate", spec, *wrong, code=2)
    assert refused == duet("submit", spec, *wrong, code=2)
    assert "\n  /algorithm/loss: " in refused.stderr


@pytest.mark.parametrize("preset", [None, "16-grpo", "demo"])
def test_a_new_spec_is_the_presets_own_with_every_line_and_without_its_signs(
    duet: Duet, http: httpx.Client, tmp_path: Path, preset: str | None
):
    chosen = () if preset is None else ("--preset", preset)
    duet("new", *chosen)
    text = (tmp_path / "spec.yaml").read_text()
    plain = {} if preset is None else {"preset": preset}
    all_told = re.sub(r"^( *)#(?! [^ ])", r"\1", text, flags=re.MULTILINE)
    assert len(yaml.safe_load(all_told)) > len(yaml.safe_load(text))
    specs = []
    for written in (plain, yaml.safe_load(text), yaml.safe_load(all_told)):
        answer = http.post("/v1/estimates", json={"spec": written})
        assert answer.status_code == 200, answer.text
        specs.append(answer.json()["spec"])
    assert specs[0] == specs[1] == specs[2]
    assert "  # Completions per prompt.  (2 to 1024)\n  group_size: " in text
    assert JOB.fullmatch(duet("submit", "spec.yaml").stdout.strip())
    assert "spec.yaml already exists" in duet("new", code=2).stderr
    assert duet("new", "-", *chosen).stdout == text
    assert (
        "the presets are 16-grpo, 2-grpo" in duet("new", "x.yaml", "--preset", "x", code=2).stderr
    )


def test_jobs_are_compared_in_a_table_in_lines_and_in_a_picture(
    duet: Duet, trained: Callable[..., Hand], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    hands = [trained("two", 2, 64, [0.4, 0.6]), trained("sixteen", 16, 512, [0.5, 0.8])]
    ids = [encode("job", hand.claim.job_id) for hand in hands]
    told = duet("compare", *ids, "--x", "rollouts", "--png", "curves.png").stdout.splitlines()
    assert told[1].split() == ["2", "0.6", "128", "1,280", "0:04", "two"]
    assert told[2].split() == ["16", "0.8", "1,024", "10,240", "0:04", "sixteen"]
    assert told[4:6] == [
        "Against sixteen:",
        "  two: 75.0% of the score, 87.5% fewer rollouts, 0.0% less time",
    ]
    assert told[7:9] == ["eval/accuracy over rollouts:", "  ▁█ 0.4 → 0.6  two"]
    assert (tmp_path / "curves.png").read_bytes().startswith(PNG)
    raw: dict[str, Any] = json.loads(duet("compare", *ids, "--json").stdout)
    assert raw["baseline"] == ids[1]
    assert "  two: 133" not in duet("compare", *ids, "--baseline", ids[0]).stdout
    assert all(len(line) <= 40 for line in duet("compare", *ids, columns=40).stdout.splitlines())
    refused = duet("compare", ids[0], "--baseline", ids[1], code=2)
    assert "baseline: must be one of `jobs`" in refused.stderr
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    without = duet("compare", ids[0], "--png", "x.png", code=2)
    assert without.stderr == "Error: --png needs matplotlib: pip install 'duet[plot]'\n"


def test_metrics_are_shown_by_last_value_and_exported_in_full(
    duet: Duet, trained: Callable[..., Hand], tmp_path: Path
):
    hand = trained("two", 2, 64, [0.25, 0.5])
    hand.step(3, reward=0.75, **{"grad_norm": math.nan, "clip_ratio/low_mean": 0.25})
    job = encode("job", hand.claim.job_id)
    told = [line.split() for line in duet("metrics", job, columns=40).stdout.splitlines()]
    assert ["0.5", "2", "▁█", "eval/accuracy"] in told
    assert ["0.75", "3", "▁▁█", "reward"] in told
    assert ["not", "finite", "3", "grad_norm"] in told
    assert "…" not in duet("metrics", job, columns=30).stdout
    two = ("eval/accuracy", "reward")
    assert len(duet("metrics", job, *two).stdout.splitlines()) == 1 + len(two)
    raw = json.loads(duet("metrics", job, "reward", "--from-step", 3, "--json").stdout)
    assert raw == {"metrics": {"reward": {"step": [3], "value": [0.75]}}}
    told = duet("metrics", job, *two, "--csv", "run.csv", "--jsonl", "run.jsonl")
    assert (told.stdout, told.stderr) == ("", "written: run.csv\nwritten: run.jsonl\n")
    assert (tmp_path / "run.csv").read_text().splitlines() == [
        "step,eval/accuracy,reward",
        "1,0.25,0.5",
        "2,0.5,0.5",
        "3,,0.75",
    ]
    lines = (tmp_path / "run.jsonl").read_text().splitlines()
    assert json.loads(lines[2]) == {"step": 3, "reward": 0.75}
    duet("metrics", "job_strange", "--csv", "no.csv", code=2)
    assert (
        "cannot write a/b.csv: No such" in duet("metrics", job, "--csv", "a/b.csv", code=2).stderr
    )
    assert {path.name for path in tmp_path.iterdir()} == {"run.csv", "run.jsonl"}


def test_a_pair_is_shown_side_by_side_or_stacked_and_which_one_won(
    duet: Duet, trained: Callable[..., Hand]
):
    hand = trained("two", 2, 64, [])
    job = encode("job", hand.claim.job_id)
    assert duet("samples", job).stdout == "none yet\n"
    pair = sample(1, "it is two", "three\x1b[2J")
    pair["completions"][1] |= {"reward": 0.0, "rewards": {"number": None}}
    tied = sample(2, "two", "2", outcome="tied")
    hand.ship(hand.entry("sample", pair, 1), hand.entry("sample", tied, 2))
    wide = duet("samples", job, "--step", 1).stdout.splitlines()
    assert wide[:2] == ["step 1, mixed; answer: 2", "  1+1="]
    assert re.split(r"  +", wide[2].strip()) == [
        "won: reward 1 (number 1)",
        "reward 0 (number failed)",
    ]
    assert re.split(r"  +", wide[3].strip()) == ["it is two", r"three\x1b[2J"]
    narrow = duet("samples", job, "--outcome", "mixed", columns=40).stdout.splitlines()
    assert [line.rstrip() for line in narrow[2:6]] == [
        "  won: reward 1 (number 1)",
        "  it is two",
        "  reward 0 (number failed)",
        r"  three\x1b[2J",
    ]
    assert "won" not in duet("samples", job, "--limit", 1).stdout
    assert [each["step"] for each in json.loads(duet("samples", job, "--json").stdout)["data"]] == [
        1,
        2,
    ]
    assert duet("samples", job, "--step", 3).stdout == "no matching samples\n"


def test_a_label_is_added_beside_the_others_and_a_sweep_stays_one(duet: Duet, spec: Path):
    sweep, job, _ = duet("sweep", spec, "--grid", "seed=1,2").stdout.split()
    duet("set", job, "--label", "team=a", "--label", "kind=b")
    changed = duet("set", job, "--label", "owner=me", "--json")
    assert json.loads(changed.stdout)["labels"] == {
        "sweep": sweep, "team": "a", "kind": "b", "owner": "me",
    }  # fmt: skip
    duet("set", job, "--label", "team=c", "--remove-label", "kind", "--remove-label", "none")
    labels = json.loads(duet("job", job, "--json").stdout)["labels"]
    assert labels == {"sweep": sweep, "team": "c", "owner": "me"}
    assert len(json.loads(duet("sweeps", "status", sweep, "--json").stdout)["jobs"]) == 2


def test_waiting_jobs_are_shown_by_queue(duet: Duet, spec: Path):
    duet("submit", spec)
    duet("submit", spec, "--set", "resources.queue=nobody")
    told = [line.split() for line in duet("queue", columns=40).stdout.splitlines()]
    assert told[0] == ["queued", "running", "free", "wait", "queue"]
    assert {(line[0], line[-1]) for line in told[1:]} == {("1", "default"), ("1", "nobody")}
    assert len(json.loads(duet("queue", "--json").stdout)["data"]) == 2


@pytest.mark.parametrize("columns", [40, 80])
def test_a_job_is_watched_with_its_curves_in_a_terminal(
    url: str, key: str, trained: Callable[..., Hand], tmp_path: Path, columns: int
):
    hand = trained("watched", 2, 64, [0.25, 0.5])
    job = encode("job", hand.claim.job_id)
    env = environment(DUET_URL=url, DUET_API_KEY=key)
    terminal = Terminal("watch", job, cwd=tmp_path, env=env, columns=columns)
    terminal.read_until("held-out ▁█ 25.0% → 50.0%")
    hand.step(3, reward=0.75)
    hand.ship(hand.entry("eval", {"eval/accuracy": 1.0}, 3))
    terminal.read_until("step 3: held-out accuracy 100.0%")
    terminal.read_until("held-out ▁▃█ 25.0% → 100.0%")
    terminal.read_until("reward   ▁▁█ 0.50 → 0.75")
    hand.checkpoint(3, {"model.safetensors": b"weights"}, tmp_path / "checkpoint")
    hand.finish()
    assert terminal.wait() == 0, terminal.lines
    assert "succeeded: completed" in terminal.lines
    assert max(map(len, terminal.lines)) <= columns


def test_without_a_terminal_a_watched_job_is_printed_line_by_line(
    duet: Duet, trained: Callable[..., Hand]
):
    hand = trained("watched", 2, 64, [0.25, 0.5])
    job = encode("job", hand.claim.job_id)
    hand.finish(Failed({"code": "nan_loss", "message": "no", "hint": "why"}, retryable=False))
    failed = duet("watch", job, code=1)
    assert failed.stdout == "step 2/160  reward 0.50  5:16 left\n"
    assert failed.stderr.startswith(f"Error: {job} failed: nan_loss\n")


def test_jobs_are_picked_and_sorted(duet: Duet, spec: Path):
    for name, team in (("b", "red"), ("a", "red"), ("c", "blue")):
        duet("submit", spec, "--set", f"name={name}", "--set", f"labels.team={team}")

    def names(*options: str) -> list[str]:
        return [line.split()[-1] for line in duet("jobs", *options).stdout.splitlines()[1:]]

    assert names() == ["c", "a", "b"]
    assert names("--label", "team:red", "--sort", "name") == ["a", "b"]
    assert names("--text", "c", "--status", "queued", "--status", "running") == ["c"]
    assert duet("jobs", "--status", "failed").stdout == "no matching jobs\n"
    assert len(json.loads(duet("jobs", "--json", "--limit", 2).stdout)["data"]) == 2
    assert "--status" in duet("jobs", "--status", "gone", code=2).stderr


def test_a_sweep_is_shown_job_by_job_and_cancelled(duet: Duet, spec: Path):
    sweep, *jobs = duet("sweep", spec, "--grid", "algorithm.group_size=2,4").stdout.split()
    told = duet("sweeps", "status", sweep).stdout.splitlines()
    assert [line.split()[0] for line in told[::3]] == jobs
    assert told[1].startswith("  queued at step 0/")
    assert told[2::3] == ["  algorithm.group_size=2", "  algorithm.group_size=4"]
    listed = duet("sweeps", "list").stdout.splitlines()
    assert listed[0].split() == ["id", "jobs", "age", "first", "job"]
    assert listed[1].startswith(f"{sweep}  2 queued")
    assert [
        each["jobs"] for each in json.loads(duet("sweeps", "list", "--json").stdout)["data"]
    ] == [{"queued": 2}]
    ended = json.loads(duet("sweeps", "cancel", sweep, "--json").stdout)
    assert [job["status"] for job in ended["jobs"]] == ["cancelled", "cancelled"]
