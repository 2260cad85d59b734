"""Workers, attempts and waiting jobs on the command line, 80 columns wide."""

import json
import signal
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from duet.terminal.moments import moment
from tests.service.duet_process import environment, run_duet, start_up
from tests.waiting import deadline

Duet = Callable[..., str]


@pytest.fixture(scope="module")
def duet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Duet]:
    """Run a command that must succeed next to a running .duet/, and return its output."""
    folder = tmp_path_factory.mktemp("fleet")
    up, _ = start_up(folder)

    def run(*arguments: str, code: int = 0) -> str:
        done = run_duet(*arguments, cwd=folder, env=environment(COLUMNS="80"), seconds=200)
        assert done.returncode == code, done.stderr
        if not {"--json", "--watch"} & {*arguments}:
            assert all(len(line) <= 80 for line in done.stdout.splitlines()), done.stdout
        return done.stdout

    yield run
    up.send_signal(signal.SIGTERM)
    assert up.wait(deadline(120)) == 0
    assert up.stdout is not None
    up.stdout.close()


def test_a_worker_is_listed_drained_and_undrained_and_a_job_shows_since_when_it_waits(
    duet: Duet, tmp_path: Path
):
    [worker] = json.loads(duet("workers", "--json"))["data"]
    first, second, *_ = duet("workers").splitlines()
    assert first.startswith(f"{worker['id']}  active, runs 0 of 1, seen ")
    assert second.startswith(f"  {worker['host']}: no GPU, ")
    assert "queues default" in second

    said = duet("workers", "drain", worker["id"])
    assert said == f"{worker['id']} finishes its jobs\n"
    assert f"{worker['id']}  draining for " in duet("workers")
    spec = tmp_path / "spec.yaml"
    spec.write_text("preset: demo\nname: waits\n")
    job = duet("submit", str(spec)).strip()
    row = next(line for line in duet("jobs").splitlines() if line.startswith(job))
    assert row.split()[1:4] == ["queued", "#1", "for"]
    told = duet("job", job)
    assert "waits for a worker for queue 'default', #1, for " in told
    assert "queued: submitted" in told
    assert json.loads(duet("jobs", "--json"))["data"][0] == json.loads(duet("job", job, "--json"))
    duet("cancel", job)
    assert duet("workers", "undrain", worker["id"]) == f"{worker['id']} takes jobs again\n"
    assert f"{worker['id']}  active" in duet("workers")
    duet("workers", "drain", "work_" + "0" * 32, code=2)


def test_an_attempt_shows_its_host_its_end_and_its_last_log_lines(duet: Duet, tmp_path: Path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"model_type": "qwen2"}')
    spec = tmp_path / "spec.yaml"
    spec.write_text(f"preset: demo\nmodel: {{source: {tmp_path / 'model'}}}\n")
    duet("submit", str(spec), "--watch", code=1)
    [listed] = [j for j in json.loads(duet("jobs", "--json"))["data"] if j["status"] == "failed"]
    [attempt] = json.loads(duet("attempts", listed["id"], "--json"))["data"]
    assert attempt["error"]["code"] == "model_unusable"
    told = duet("attempts", listed["id"])
    assert told.startswith("attempt 1  failed (exit code 1) after ")
    assert "from the start" in told
    assert f"{moment(datetime.fromisoformat(attempt['started_at']))} on {attempt['host']}" in told
    assert "  model_unusable: " in told
    last = attempt["log_tail"].splitlines()[-1].split()[0]
    assert f"| {last}" in told
    assert json.loads(duet("checkpoint", listed["id"], "--json"))["data"] == []
