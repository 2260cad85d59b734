"""`duet up`: everything on one machine, and no leftovers."""

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from typer.testing import CliRunner

from duet import Client
from duet.cli import app
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
    """Start `duet up --json` in its own folder; processes still running at the end are killed."""
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


def test_everything_answers_once_it_has_spoken_and_stops_when_asked_again_and_again(
    up: Up, tmp_path: Path
):
    process, said = up()
    assert httpx.get(f"{said['url']}/readyz").json()["status"] == "ready"
    assert httpx.get(said["dashboard"]).headers["content-type"].startswith("text/html")
    assert set(said["pids"]) == {"up", "postgres", "valkey", "api", "worker", "ops"}
    with Client(said["url"], said["key"]) as client:
        assert list(client.jobs.list()) == []

    second = run_duet("up", cwd=tmp_path)  # a folder has one
    assert second.returncode == 2
    assert f"another `duet up` (process {process.pid}) runs on" in second.stderr
    assert "--dir" in second.stderr
    assert process.poll() is None

    every = [*said["pids"].values(), *descendants(process.pid)]
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGTERM):
        process.send_signal(number)
        time.sleep(0.2)
    assert process.wait(deadline(60)) == 0
    assert_all_gone(every)
    assert set(json.loads((tmp_path / ".duet" / "server.json").read_text())) == {"key", "port"}
    log = (tmp_path / "up.log").read_text()
    assert "Error" not in log


def test_a_server_that_dies_stops_the_rest_and_a_restart_has_key_address_and_jobs(
    up: Up, tmp_path: Path
):
    process, first = up()
    with Client(first["url"], first["key"]) as client:
        # No worker serves this queue: the job waits.
        job = client.jobs.create({"preset": "demo", "resources": {"queue": "nobody"}})
    os.kill(first["pids"]["api"], signal.SIGKILL)
    assert process.wait(deadline(60)) == 1
    assert_all_gone(list(first["pids"].values()))
    assert "Error: api exited unexpectedly (exit code -9)" in (tmp_path / "up.log").read_text()

    _, second = up()
    assert (second["key"], second["url"]) == (first["key"], first["url"])
    with Client(second["url"], second["key"]) as client:
        assert client.jobs.get(job.id).status == "queued"


@pytest.mark.nightly
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


def test_kill_9_leaves_no_process_and_the_next_start_works(up: Up, tmp_path: Path):
    process, said = up()
    every = [*said["pids"].values(), *descendants(process.pid)]
    process.kill()
    process.wait()
    assert_all_gone(every)
    with socket.socket() as other:  # which has its port by now
        other.bind(("127.0.0.1", urlsplit(said["url"]).port))
        other.listen()
        _, again = up()
    assert again["url"] != said["url"]
    assert httpx.get(f"{again['url']}/readyz").json()["status"] == "ready"


def test_running_servers_are_used(up: Up, database_url: str, redis_url: str):
    """Run with unusable proxies and certificates in the environment."""
    nowhere = "http://127.0.0.1:9"
    broken = {"HTTP_PROXY": nowhere, "ALL_PROXY": nowhere, "SSL_CERT_FILE": "/nonexistent"}
    env = environment(DATABASE_URL=database_url, REDIS_URL=redis_url, **broken)
    process, said = up(env=env)
    assert set(said["pids"]) == {"up", "api", "worker", "ops"}
    process.send_signal(signal.SIGINT)
    assert process.wait(deadline(60)) == 0


@pytest.mark.parametrize("port", ["0", "65536", "80000", "99999", "-1"])
def test_a_port_that_cannot_be_is_refused(tmp_path: Path, port: str):
    refused = CliRunner().invoke(app, ["up", "--dir", str(tmp_path / "state"), "--port", port])
    assert refused.exit_code == 2
    assert "--port" in refused.output
    assert not (tmp_path / "state").exists()


def test_a_port_in_use_is_reported_before_anything_starts(tmp_path: Path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = run_duet("up", "--port", str(port), cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"Error: port {port} is in use by another program")
    assert not (tmp_path / ".duet" / "postgres").exists()


def test_missing_system_software_is_reported_before_anything_starts(tmp_path: Path):
    refused = run_duet("up", cwd=tmp_path, env=environment(PATH=str(tmp_path)))
    assert refused.returncode == 1
    said = "Error: jobs cannot train on this machine:\nvLLM needs the program lscpu"
    assert refused.stderr.startswith(said)
    assert not (tmp_path / ".duet" / "postgres").exists()
    found = run_duet("doctor", "--json", cwd=tmp_path, env=environment(PATH=str(tmp_path)))
    system = [each for each in json.loads(found.stdout) if each["name"] == "system"]
    assert [each["state"] for each in system] == ["fail"]
    assert system[0]["advice"] == "`apt install util-linux`"


def test_a_folder_that_cannot_be_used_is_a_sentence(tmp_path: Path):
    (tmp_path / "file").write_text("")
    refused = run_duet("up", "--dir", "file/state", cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "file/state cannot be used" in refused.stderr
    assert "--dir" in refused.stderr
