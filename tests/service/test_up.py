"""`duet up`: everything on one machine, and nothing left of it."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from duet import Client
from tests.service.duet_process import (
    assert_all_gone,
    descendants,
    environment,
    run_duet,
    start_up,
)
from tests.waiting import deadline, wait_until

Up = Callable[..., tuple[Any, dict[str, Any]]]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """Starts `duet up --json` in a folder of its own; whatever still runs at the end is ended."""
    started = []

    def start(*options: str, **more: Any) -> tuple[Any, dict[str, Any]]:
        process, said = start_up(tmp_path, *options, **more)
        started.append(process)
        return process, said

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.wait(deadline(60))
        process.stdout.close()


def test_everything_answers_once_it_has_spoken(up: Up, tmp_path: Path):
    process, said = up()
    assert httpx.get(f"{said['url']}/readyz").json()["status"] == "ready"
    assert httpx.get(said["dashboard"]).headers["content-type"].startswith("text/html")
    assert set(said["pids"]) == {"up", "postgres", "valkey", "api", "worker", "ops"}
    with Client(said["url"], said["key"]) as client:
        assert list(client.jobs.list()) == []

    every = [*said["pids"].values(), *descendants(process.pid)]
    process.send_signal(signal.SIGTERM)
    assert process.wait(deadline(60)) == 0
    assert_all_gone(every)
    log = (tmp_path / "up.log").read_text()
    assert "Error" not in log


def test_the_key_and_the_jobs_outlive_a_restart(up: Up):
    process, first = up()
    with Client(first["url"], first["key"]) as client:
        # No worker serves this queue: the job waits.
        job = client.jobs.create({"preset": "demo", "resources": {"queue": "nobody"}})
    process.send_signal(signal.SIGINT)
    assert process.wait(deadline(60)) == 0
    _, second = up()
    assert second["key"] == first["key"]
    with Client(second["url"], second["key"]) as client:
        assert client.jobs.get(job.id).status == "queued"


def test_a_request_to_stop_that_comes_again_and_again_is_one_request(up: Up, tmp_path: Path):
    process, said = up()
    every = [*said["pids"].values(), *descendants(process.pid)]
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGTERM):
        process.send_signal(number)
        time.sleep(0.2)
    assert process.wait(deadline(60)) == 0
    assert_all_gone(every)
    assert set(json.loads((tmp_path / ".duet" / "server.json").read_text())) == {"key"}


def test_a_second_ctrl_c_kills_what_trains_and_its_job_waits_again(up: Up, tmp_path: Path):
    process, said = up()
    with Client(said["url"], said["key"]) as client:
        job = client.jobs.create({"preset": "demo", "budget": {"max_steps": 1000, "epochs": 1000}})
        wait_until(lambda: client.jobs.get(job.id).status == "running")
    every = [*said["pids"].values(), *descendants(process.pid)]
    # Not before it is a program of its own: who starts it would wait for that.
    trainer = wait_until(
        lambda: next(filter(is_trainer, descendants(said["pids"]["worker"])), None)
    )
    os.kill(trainer, signal.SIGSTOP)  # it can not save
    process.send_signal(signal.SIGINT)
    log = tmp_path / ".duet" / "logs" / "worker.log"
    wait_until(lambda: "worker_stopping" in log.read_text())
    process.send_signal(signal.SIGINT)
    assert process.wait(deadline(30)) == 0
    assert_all_gone([*every, trainer])
    _, again = up()
    with Client(again["url"], again["key"]) as client:
        reasons = [moment.reason for moment in client.jobs.get(job.id).timeline]
    assert "its worker stopped" in reasons


def is_trainer(pid: int) -> bool:
    return b"grpo" in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_folder_has_one_duet(up: Up, tmp_path: Path):
    process, _ = up()
    second = run_duet("up", cwd=tmp_path)
    assert second.returncode == 2
    assert f"another `duet up` (process {process.pid}) runs on" in second.stderr
    assert "--dir" in second.stderr
    assert process.poll() is None


def test_kill_9_leaves_no_process_and_the_next_start_works(up: Up):
    process, said = up()
    every = [*said["pids"].values(), *descendants(process.pid)]
    process.kill()
    process.wait()
    assert_all_gone(every)
    _, again = up()
    assert httpx.get(f"{again['url']}/readyz").json()["status"] == "ready"


def test_a_server_that_dies_is_named_and_stops_the_rest(up: Up, tmp_path: Path):
    process, said = up()
    os.kill(said["pids"]["api"], signal.SIGKILL)
    assert process.wait(deadline(60)) == 1
    assert_all_gone(list(said["pids"].values()))
    assert "Error: api ended by itself (exit code -9)" in (tmp_path / "up.log").read_text()


def test_servers_that_are_there_already_are_used(up: Up, database_url: str, redis_url: str):
    env = environment(DATABASE_URL=database_url, REDIS_URL=redis_url)
    _, said = up(env=env)
    assert set(said["pids"]) == {"up", "api", "worker", "ops"}
