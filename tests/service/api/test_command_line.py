"""Commands against a live API whose worker's part is played by hand."""

import json
import math
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from sqlalchemy import update

from duet.cli import main
from store.database.database import Database
from store.ids import encode
from store.jobs.outcomes import Failed
from store.settings import Settings
from store.tables import ApiKey
from tests.service.api.conftest import make_key, serving
from tests.service.api.hand import Hand, sample
from tests.service.duet_process import Terminal, environment

JOB = re.compile(r"job_[0-9a-f]{32}")
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"webhooks_allow_private": True})


@dataclass(frozen=True)
class Done:
    stdout: str
    stderr: str


Duet = Callable[..., Done]


@pytest.fixture
def duet(
    url: str,
    key: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Duet:
    """Runs a command that is to end with `code`, in a terminal's width: the whole of the installed
    command but its process, which takes a second to start."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, code: int | None = 0, columns: int = 80, **added: str) -> Done:
        given = {"DUET_URL": url, "DUET_API_KEY": key, "COLUMNS": str(columns)} | added
        with monkeypatch.context() as patch:
            for name, value in given.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["duet", *map(str, arguments)])
            capsys.readouterr()
            with pytest.raises(SystemExit) as ended:
                main()
        said = capsys.readouterr()
        assert code is None or (ended.value.code or 0) == code, said.err
        return Done(said.out, said.err)

    return run


@pytest.fixture
def trained(http: httpx.Client, claims: Callable[[], Hand]) -> Callable[..., Hand]:
    """Return a job with one step per score; costs are per step."""

    def train(name: str, group_size: int, rollouts: int, scores: list[float]) -> Hand:
        spec = {"name": name, "algorithm": {"group_size": group_size}}
        assert http.post("/v1/jobs", json=spec).status_code == 201
        hand = claims()
        for step, score in enumerate(scores, 1):
            hand.step(step, num_rollouts=rollouts * step, num_tokens=10 * rollouts * step)
            hand.ship(hand.entry("eval", {"eval/accuracy": score}, step))
        return hand

    return train


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spec.yaml"
    path.write_text("name: mine\npreset: demo\n")
    return path


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
    assert "  # Completions a prompt.  (2 to 1024)\n  group_size: " in text
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


def test_shell_completion_lists_jobs_and_is_silent_without_a_server(
    duet: Duet, trained: Callable[..., Hand]
):
    job = encode("job", trained("two", 2, 64, []).claim.job_id)

    def completed(url: dict[str, str]) -> str:
        asked = {"_DUET_COMPLETE": "complete_bash", "COMP_WORDS": "duet logs job_"}
        return duet(COMP_CWORD="2", **asked, **url).stdout

    assert completed({}).split() == [job]
    assert completed({"DUET_URL": "http://127.0.0.1:9"}).strip() == ""


def test_the_doctor_checks_machine_and_server_and_suggests_fixes(duet: Duet):
    lines = duet("doctor").stdout.splitlines()
    told = {line.split()[1]: line.strip().split(maxsplit=2) for line in lines if line[:1] != " "}
    assert told["Python"][0] == "ok"
    assert told["server"][0] == "ok"
    assert told["key"][2].startswith("read/submit of project ours, may read, submit")
    assert told["workers"] == ["warn", "workers", "none takes jobs"]
    assert "→ start one: `python -m worker`, or `duet up`" in lines[-1]
    assert {each["name"] for each in json.loads(duet("doctor", "--json").stdout)} >= {"disk", "GPU"}
    strange = duet("doctor", code=1, DUET_API_KEY="duet_strange").stdout
    assert re.search(r"^fail key ", strange, re.MULTILINE)
    assert "→ give --key of this server" in strange
    away = duet("doctor", code=1, columns=40, DUET_URL="http://127.0.0.1:9").stdout
    assert re.search(r"^fail server ", away, re.MULTILINE)
    assert all(len(line) <= 40 for line in away.splitlines())


def test_the_doctor_reports_the_failed_checks_of_a_server(duet: Duet, settings: Settings):
    bare = settings.database_url.rpartition("/")[0] + "/postgres"
    with serving(settings.model_copy(update={"database_url": bare})) as url:
        found = json.loads(duet("doctor", "--json", code=1, DUET_URL=url).stdout)
    assert found[-1] == {
        "name": "server",
        "state": "fail",
        "said": f"{url} is not ready: migrations failed (the database has no tables yet)",
        "advice": "run `python -m store migrate` of the server's own version",
    }


def test_the_doctor_asks_the_driver_and_torch_about_gpus(duet: Duet, tmp_path: Path):
    """GPU and torch are simulated: importing torch takes seconds."""
    driver, torch = tmp_path / "bin" / "nvidia-smi", tmp_path / "torch.py"
    driver.parent.mkdir()
    card = "NVIDIA H200, 143771 MiB, 580.95.05"
    env = {"PATH": f"{driver.parent}:{os.environ['PATH']}", "PYTHONPATH": str(tmp_path)}

    def says(script: str, *, seen: bool, code: int) -> str:
        driver.write_text(f"#!/bin/sh\n{script}\n")
        driver.chmod(0o755)
        torch.write_text(
            f"class cuda:\n    is_available = lambda: {seen}\nclass version:\n    cuda = '13.0'\n"
        )
        found = json.loads(duet("doctor", "--json", code=code, **env).stdout)
        return next(f"{each['state']}: {each['said']}" for each in found if each["name"] == "GPU")

    assert says(f"echo '{card}'", seen=True, code=0) == f"ok: {card}; CUDA 13.0"
    old = "NVIDIA L4, 23034 MiB, 550.54.14"
    assert says(f"echo '{old}'", seen=False, code=1).endswith(
        "does not see it: driver 550.54.14 is too old for CUDA 13.0, which needs 580 or newer"
    )
    unseen = says(f"echo '{card}'", seen=False, code=1)
    assert unseen.startswith(f"fail: {card}; but torch ")
    broken = says("echo no device; exit 9", seen=True, code=1)
    assert broken == "fail: the driver does not answer: no device"


def test_nothing_is_deleted_without_confirmation(
    duet: Duet, trained: Callable[..., Hand], spec: Path, database: Database, tmp_path: Path
):
    hand = trained("kept", 2, 64, [0.5])
    hand.checkpoint(1, {"model.safetensors": b"w"}, tmp_path / "checkpoint")
    hand.finish()
    job = encode("job", hand.claim.job_id)
    (tmp_path / "rows.jsonl").write_text('{"question": "1+1=", "answer": "2"}\n')
    file = duet("files", "upload", "rows.jsonl").stdout.strip()
    admin = {"DUET_API_KEY": make_key(database, "ours", "read", "admin")}
    key_id = duet("keys", "create", "another", **admin).stderr.split()[0]
    hook = json.loads(duet("webhooks", "add", "http://127.0.0.1:1024/", "--json", **admin).stdout)
    for command in (
        ["delete", job],
        ["checkpoint", job, "--delete", "--step", 1],
        ["files", "delete", file],
        ["keys", "revoke", key_id],
        ["webhooks", "remove", hook["id"]],
    ):
        for options in ([], ["--json"]):
            assert "--yes" in duet(*command, *options, code=2, **admin).stderr
    assert json.loads(duet("job", job, "--json").stdout)["name"] == "kept"
    assert len(json.loads(duet("checkpoint", job, "--json").stdout)["data"]) == 1
    assert json.loads(duet("files", "--json").stdout)["data"][0]["id"] == file
    listed = json.loads(duet("keys", "--json", **admin).stdout)["data"]
    assert [each["revoked_at"] for each in listed if each["id"] == key_id] == [None]
    assert json.loads(duet("webhooks", "list", "--json", **admin).stdout)["data"]


def test_a_label_is_added_beside_the_others_and_a_sweep_stays_one(duet: Duet, spec: Path):
    sweep, job, _ = duet("sweep", spec, "--grid", "seed=1,2").stdout.split()
    duet("set", job, "--label", "team=a", "--label", "kind=b")
    duet("set", job, "--label", "team=c", "--remove-label", "kind", "--remove-label", "none")
    labels = json.loads(duet("job", job, "--json").stdout)["labels"]
    assert labels == {"sweep": sweep, "team": "c"}
    assert len(json.loads(duet("sweeps", "status", sweep, "--json").stdout)["jobs"]) == 2


@pytest.mark.parametrize("there", ["config.json", "model.safetensors", "sub/other.bin", ".hidden"])
def test_a_checkpoint_is_not_written_over_something_else(
    duet: Duet, trained: Callable[..., Hand], tmp_path: Path, there: str
):
    hand = trained("ours", 2, 64, [0.5])
    files = {"model.safetensors": b"w", "config.json": b"{}"}
    hand.checkpoint(1, files, tmp_path / "made")
    job = encode("job", hand.claim.job_id)
    other = tmp_path / "copy" / there
    other.parent.mkdir(parents=True)
    other.write_bytes(b"another model's")
    refused = duet("checkpoint", job, "--download", "copy", code=2).stderr
    assert f"such as {there}" in refused
    assert "--force" in refused
    assert [path for path in (tmp_path / "copy").rglob("*") if path.is_file()] == [other]
    assert other.read_bytes() == b"another model's"
    duet("checkpoint", job, "--download", "copy", "--force")
    assert {name: (tmp_path / "copy" / name).read_bytes() for name in files} == files
    duet("checkpoint", job, "--download", "fresh")
    duet("checkpoint", job, "--download", "fresh")  # what is there already is in nobody's way


HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egpj\u2066\ufeff[red]:smile:[/red]\r\nFORGED"


def test_no_foreign_text_controls_the_terminal(
    duet: Duet, http: httpx.Client, claims: Callable[[], Hand], database: Database, tmp_path: Path
):
    """Check each command that prints foreign text: name, label, row, completion, message, log."""
    spec = {"name": HOSTILE, "labels": {"team": HOSTILE, HOSTILE[:50]: "x"}}
    job = http.post("/v1/jobs", json=spec).json()["id"]
    hand = claims()
    hand.step(1)
    hand.ship(hand.entry("sample", sample(1, HOSTILE, HOSTILE, prompt=HOSTILE), 1))
    hand.ship(hand.entry("message", {"level": HOSTILE, "text": HOSTILE}, 1))
    hand.checkpoint(1, {"model.safetensors": b"w"}, tmp_path / "checkpoint")
    hand.finish(Failed({"code": "bad_data", "message": HOSTILE, "hint": HOSTILE}, retryable=False))
    row = json.dumps({"question": HOSTILE, HOSTILE: "2"})
    (tmp_path / "rows.jsonl").write_text(row + "\n")
    file = duet("files", "upload", "rows.jsonl").stdout.strip()
    admin = {"DUET_API_KEY": make_key(database, HOSTILE, "read", "submit", "admin", "server")}
    with database.session() as session:
        session.execute(update(ApiKey).values(name=HOSTILE))
    hook = {"url": "https://93.184.215.14/", "events": ["job.created"], "description": HOSTILE}
    with httpx.Client(base_url=str(http.base_url)) as theirs:
        theirs.headers["Authorization"] = f"Bearer {admin['DUET_API_KEY']}"
        assert theirs.post("/v1/webhooks", json=hook).status_code == 201
    base = {"base": {"name": HOSTILE}, "grid": {"seed": [1, 2]}}
    sweep = http.post("/v1/sweeps", json=base).json()["id"]
    ours = [
        *(["jobs"], ["job", job], ["attempts", job], ["samples", job], ["logs", job]),
        *(["watch", job], ["metrics", job], ["compare", job, job], ["checkpoint", job]),
        *(["files"], ["files", "preview", file], ["sweeps", "status", sweep], ["pairs", job]),
        *(["retry", job], ["doctor"], ["queue"], ["presets"]),
    ]
    theirs = [["keys"], ["projects"], ["webhooks", "list"], ["audit"]]
    commands = [*((each, {}) for each in ours), *((each, admin) for each in theirs)]
    for command, added in commands:
        for as_json in (False, True):
            if as_json and command[0] in ("logs", "pairs", "metrics"):
                continue
            done = duet(*command, *(["--json"] if as_json else []), code=None, columns=200, **added)
            printed = done.stdout + done.stderr
            steering = {char for char in printed if not char.isprintable() and char not in "\n\t"}
            assert steering == set(), command
            if command[0] not in ("samples", "logs"):  # texts of many lines by their nature
                assert not re.search(r"^\s*FORGED", done.stdout, re.MULTILINE), command


def test_files_go_up_and_come_back_whole(duet: Duet, tmp_path: Path):
    rows = b'{"question": "1+1=", "answer": "2"}\n{"question": "2+1=", "answer": "3"}\n'
    (tmp_path / "sums.jsonl").write_bytes(rows)
    file = duet("files", "upload", "sums.jsonl").stdout.strip()
    listed = duet("files").stdout.splitlines()[1].split()
    assert (listed[:2], listed[3:]) == ([file, "2"], ["sums.jsonl"])
    assert duet("files", "preview", file).stdout.splitlines()[:2] == ["row 1", "  question: 1+1="]
    (tmp_path / "sums.jsonl").unlink()
    assert duet("files", "download", file).stdout == "2 rows: sums.jsonl\n"
    assert json.loads(duet("files", "download", file, "--json").stdout)["id"] == file
    assert (tmp_path / "sums.jsonl").read_bytes() == rows
    (tmp_path / "other.jsonl").write_text("mine")
    assert "has other content" in duet("files", "download", file, "other.jsonl", code=2).stderr
    assert (tmp_path / "other.jsonl").read_text() == "mine"
    duet("files", "download", file, "other.jsonl", "--force")
    assert (tmp_path / "other.jsonl").read_bytes() == rows
    assert duet("files", "delete", file, "--yes").stdout == f"{file} is deleted\n"
    assert duet("files", "preview", file, code=2).stdout == ""
    assert json.loads(duet("files", "--json").stdout)["data"] == []
    (tmp_path / "bad.jsonl").write_text("nonsense\n")
    assert "line 1" in duet("files", "upload", "bad.jsonl", code=2).stderr
    assert "away.jsonl is not a file" in duet("files", "upload", "away.jsonl", code=2).stderr


def test_an_admin_creates_changes_and_revokes_keys_and_reads_the_audit_log(
    duet: Duet, database: Database, spec: Path
):
    admin = make_key(database, "theirs", "read", "submit", "admin")

    def says(*arguments: object, code: int = 0) -> str:
        return duet(*arguments, code=code, DUET_API_KEY=admin).stdout.strip()

    made = says("keys", "create", "for submitting", "--scope", "read", "--scope", "submit")
    duet("submit", spec, DUET_API_KEY=made)
    found = json.loads(says("keys", "--json"))["data"]
    [listed] = [each for each in found if each["name"] == "for submitting"]
    key_id = listed["id"]
    assert listed["scopes"] == ["read", "submit"]
    assert key_id in says("keys")
    successor = says("keys", "rotate", key_id)
    assert says("keys", "revoke", key_id, "--yes") == f"{key_id} is revoked"
    duet("jobs", code=3, DUET_API_KEY=made)
    assert JOB.search(duet("jobs", DUET_API_KEY=successor).stdout)
    actions = [each["action"] for each in json.loads(says("audit", "--json"))["data"]]
    assert actions == ["key.revoke", "key.rotate", "job.submit", "key.create"]
    assert says("audit", "--action", "job.submit").count("for submitting") == 1
    assert "admin" in duet("keys", code=3, DUET_API_KEY=successor).stderr


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


def test_a_webhook_gets_another_secret_and_is_sent_a_delivery_once_more(
    duet: Duet, database: Database, spec: Path
):
    admin = make_key(database, "theirs", "read", "submit", "admin")

    def says(*arguments: object) -> str:
        return duet(*arguments, DUET_API_KEY=admin).stdout

    hook = json.loads(says("webhooks", "add", "http://127.0.0.1:1024/", "--json"))
    says("submit", spec)
    [listed] = json.loads(says("webhooks", "list", "--json"))["data"]
    assert (listed["id"], "secret" in listed) == (hook["id"], False)
    [delivery] = json.loads(says("webhooks", "deliveries", hook["id"], "--json"))["data"]
    assert delivery["event"] == "job.created"
    again = says("webhooks", "redeliver", hook["id"], delivery["id"])
    assert again == f"{delivery['id']} is pending\n"
    secret = says("webhooks", "rotate-secret", hook["id"]).strip()
    assert secret.startswith("whsec_")
    assert secret != hook["secret"]
    says("webhooks", "change", hook["id"], "--event", "job.failed", "--description", "ours")
    changed = json.loads(says("webhooks", "change", hook["id"], "--disable", "--json"))
    assert (changed["events"], changed["description"]) == (["job.failed"], "ours")
    assert (changed["url"], changed["enabled"]) == (hook["url"], False)
    assert "nothing to change" in duet("webhooks", "change", hook["id"], code=2).stderr
    removed = json.loads(says("webhooks", "remove", hook["id"], "--yes", "--json"))
    assert removed == {"id": hook["id"], "removed": True}


def test_an_ended_jobs_checkpoint_and_then_the_job_are_deleted(
    duet: Duet, trained: Callable[..., Hand], tmp_path: Path
):
    hand = trained("ours", 2, 64, [0.5])
    job = encode("job", hand.claim.job_id)
    for step in (1, 2):
        hand.checkpoint(step, {"model.safetensors": b"weights"}, tmp_path / f"step-{step}")
    hand.finish()
    assert json.loads(duet("watch", job, "--json").stdout)["status"] == "succeeded"
    told = json.loads(duet("checkpoint", job, "--download", "copy", "--json").stdout)
    assert (told["step"], (tmp_path / "copy" / "model.safetensors").read_bytes()) == (2, b"weights")
    assert "--delete needs --step" in duet("checkpoint", job, "--delete", code=2).stderr
    first = duet("checkpoint", job).stdout.split()[0]
    assert (
        duet("checkpoint", job, "--delete", "--step", 1, "--yes").stdout == f"{first} is deleted\n"
    )
    assert "it has 2" in duet("checkpoint", job, "--delete", "--step", 1, code=2).stderr
    assert json.loads(duet("delete", job, "--yes", "--json").stdout) == {"id": job, "deleted": True}
    assert duet("jobs").stdout.startswith("No jobs yet")


def test_a_servers_presets_models_data_sets_and_rewards_are_listed(duet: Duet):
    for command, name in (
        ("presets", "2-grpo"),
        ("models", "tiny-arithmetic"),
        ("datasets", "arithmetic-heldout"),
        ("rewards", "number"),
    ):
        listed = duet(command, columns=40).stdout.splitlines()
        assert name in [line.split()[0] for line in listed]
        assert all(len(line) <= 40 for line in listed), listed
        raw = json.loads(duet(command, "--json").stdout)["data"]
        assert name in [each.get("name") or each["type"] for each in raw]


def test_rewards_are_tried_by_their_type_or_as_a_spec_has_them(duet: Duet, spec: Path):
    texts = ("--completion", "it is 4", "--completion", "it is 5", "--answer", "4")
    told = duet("rewards", "try", "number", *texts, "--set", "rewards.0.weight=2").stdout
    assert [line.split(" in ")[0] for line in told.splitlines()] == [
        "2  it is 4",
        "  number: 1",
        "0  it is 5",
        "  number: 0",
    ]
    of_preset = json.loads(duet("rewards", "try", spec, *texts, "--json").stdout)
    assert [len(each["parts"]) for each in of_preset["completions"]] == [1, 1]
    refused = duet("rewards", "try", "numbr", *texts, code=2)
    assert "/rewards/0" in refused.stderr
    assert "number" in refused.stderr


def test_an_admin_makes_a_project_and_limits_it(duet: Duet, database: Database, spec: Path):
    admin = {"DUET_API_KEY": make_key(database, "theirs", "read", "submit", "server")}
    made = json.loads(
        duet("projects", "create", "new", "--max-queued", 1, "--json", **admin).stdout
    )
    theirs = {"DUET_API_KEY": made["key"]["key"]}
    project = made["project"]["id"]
    duet("submit", spec, **theirs)
    assert (
        "this project already has 1 queued job, its limit"
        in duet("submit", spec, code=2, **theirs).stderr
    )
    told = duet("projects", "quota", project, "--max-running", 3, **admin).stdout
    assert told == f"{project}  new\n  may run 3, may wait 1\n"
    duet("projects", "quota", project, "--max-queued", "none", **admin)
    told = duet("projects", "quota", project, "--weight", 5, **admin).stdout
    assert told == f"{project}  new\n  may run 3, may wait any number, weight 5\n"
    duet("projects", "quota", project, "--weight", 1, **admin)
    assert f"{project}  new\n  may run 3, may wait any number\n" in duet("projects", **admin).stdout
    duet("submit", spec, **theirs)
    wrong = duet("projects", "quota", project, "--max-queued", "-1", code=2, **admin)
    assert wrong.stderr == "Error: --max-queued -1: write a number, or `none`\n"
    assert (
        "project proj_x does not exist"
        in duet("projects", "quota", "proj_x", "--max-queued", 1, code=2, **admin).stderr
    )


def test_a_sweep_is_shown_job_by_job_and_cancelled(duet: Duet, spec: Path):
    sweep, *jobs = duet("sweep", spec, "--grid", "algorithm.group_size=2,4").stdout.split()
    told = duet("sweeps", "status", sweep).stdout.splitlines()
    assert [line.split()[0] for line in told[::3]] == jobs
    assert told[1].startswith("  queued at step 0/")
    assert told[2::3] == ["  algorithm.group_size=2", "  algorithm.group_size=4"]
    ended = json.loads(duet("sweeps", "cancel", sweep, "--json").stdout)
    assert [job["status"] for job in ended["jobs"]] == ["cancelled", "cancelled"]
