"""Commands that write or remove: files, checkpoints, jobs; text that others chose."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from store.database.database import Database
from store.ids import encode
from store.jobs.outcomes import Failed
from store.tables import ApiKey
from tests.service.api.command_line.conftest import Duet
from tests.service.api.conftest import make_key
from tests.service.api.hand import Hand, sample

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egpj\u2066\ufeff[red]:smile:[/red]\r\nFORGED"


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
    assert "available: 2" in duet("checkpoint", job, "--delete", "--step", 1, code=2).stderr
    assert json.loads(duet("delete", job, "--yes", "--json").stdout) == {"id": job, "deleted": True}
    assert duet("jobs").stdout.startswith("No jobs yet")
