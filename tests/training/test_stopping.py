"""Runs that are stopped, killed, or lose their parent."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from grpo.checkpoint.checkpoint import read_manifest
from grpo.spec.job import JobSpec
from tests import waiting
from tests.training.runs import (
    end_of,
    make_tiny_model,
    records,
    run_here,
    small_spec,
    start_run,
    weights_sha256,
    write_sums,
)
from tests.waiting import deadline

NUM_STEPS = 40


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> JobSpec:
    """Return a spec long enough to be stopped in progress, even by a slow test."""
    folder = tmp_path_factory.mktemp("inputs")
    return small_spec(
        make_tiny_model(folder / "model"),
        write_sums(folder / "sums.jsonl"),
        budget={"epochs": 1000, "max_steps": NUM_STEPS},
        checkpoints={"every_steps": 1000},
        algorithm={"prompts_per_step": 128},
    )


def wait_until(happened: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    latest = time.monotonic() + deadline(120)
    while not happened():
        assert process.poll() is None, "it ended before"
        assert time.monotonic() < latest
        time.sleep(0.001)


def test_a_stopped_run_finishes_its_step_saves_and_continues_bit_for_bit(
    spec: JobSpec, tmp_path: Path
):
    unbroken = run_here(spec, tmp_path / "unbroken")
    folder = tmp_path / "stopped"
    process = start_run(spec, folder)
    wait_until(lambda: bool(records(folder, "metric")), process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=deadline(60)) == 0
    assert end_of(folder) == {"outcome": "stopped", "error": None}

    (checkpoint,) = records(folder, "checkpoint")
    assert not checkpoint["payload"]["final"]
    assert checkpoint["step"] == records(folder, "metric")[-1]["step"] < NUM_STEPS
    saved = folder / checkpoint["payload"]["path"]
    continued = run_here(spec, tmp_path / "continued", resume_from=saved)
    last = f"checkpoints/step-{NUM_STEPS:06d}"
    assert weights_sha256(continued / last) == weights_sha256(unbroken / last)
    evaluated = {record["step"] for run in (folder, continued) for record in records(run, "eval")}
    assert evaluated == {record["step"] for record in records(unbroken, "eval")}


def test_a_run_that_is_stopped_while_it_loads_ends_at_once(spec: JobSpec, tmp_path: Path):
    folder = tmp_path / "run"
    process = start_run(spec, folder)
    wait_until(lambda: b"SIGTERM" not in _caught(process.pid), process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=deadline(60)) == 0
    assert end_of(folder) == {"outcome": "stopped", "error": None}
    assert records(folder, "metric") == []
    assert not (folder / "checkpoints").exists()


def _caught(pid: int) -> bytes:
    """Wait until the process has a handler for SIGTERM."""
    (mask,) = [
        int(line.split()[1], 16)
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("SigCgt:")
    ]
    return b"" if mask & (1 << (signal.SIGTERM - 1)) else b"SIGTERM"


def test_a_run_killed_while_it_saves_leaves_no_checkpoint_that_is_not_whole(tmp_path: Path):
    # A vocabulary of 100,000 makes the checkpoint 40 MB, so that writing it takes a while.
    model = make_tiny_model(tmp_path / "model", vocabulary=100_000)
    spec = small_spec(
        model,
        write_sums(tmp_path / "sums.jsonl"),
        checkpoints={"every_steps": 1},
        algorithm={"prompts_per_step": 2},
        evaluation={"limit": 1},
    )
    folder = tmp_path / "run"
    process = start_run(spec, folder)
    unfinished = folder / "checkpoints/.step-000002.tmp"
    wait_until(unfinished.exists, process)
    process.kill()
    assert process.wait(timeout=deadline(60)) == -signal.SIGKILL
    assert [record["step"] for record in records(folder, "checkpoint")] == [1]
    (whole,) = (folder / "checkpoints").glob("step-*")
    assert read_manifest(whole)["step"] == 1
    assert unfinished.exists()
    shutil.rmtree(folder)


LIVES_BY_ITS_LIFELINE = """
import sys, time
from grpo.runtime.parent_watch import watch_parent
watch_parent(int(sys.argv[1]))
print("holding", flush=True)
time.sleep(600)
"""


@pytest.fixture
def lifeline():
    """A process in its own group, and the end of the pipe that keeps it alive."""
    read_end, write_end = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", LIVES_BY_ITS_LIFELINE, str(read_end)],
        pass_fds=[read_end],
        process_group=0,
        stdout=subprocess.PIPE,
        text=True,
    )
    os.close(read_end)
    assert process.stdout is not None
    assert process.stdout.readline() == "holding\n"
    yield process, write_end
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_process_ends_when_its_lifeline_is_closed(
    lifeline: tuple[subprocess.Popen[str], int],
):
    process, write_end = lifeline
    os.close(write_end)
    assert process.wait(timeout=deadline(10)) == -signal.SIGKILL


def test_a_process_ends_at_the_last_deadline_it_was_given(
    lifeline: tuple[subprocess.Popen[str], int],
):
    process, write_end = lifeline
    began_at = time.monotonic()
    os.write(write_end, f"{began_at + 0.3}\n{began_at + 600}\n{began_at + 1.0}\n".encode())
    assert process.wait(timeout=deadline(10)) == -signal.SIGKILL
    assert time.monotonic() - began_at >= 1.0
    os.close(write_end)


def test_a_process_lives_on_while_its_deadline_is_renewed(
    lifeline: tuple[subprocess.Popen[str], int],
):
    process, write_end = lifeline
    period = deadline(0.05)
    for _ in range(8):
        os.write(write_end, f"{time.monotonic() + 5 * period}\n".encode())
        time.sleep(period)
    assert process.poll() is None
    os.close(write_end)


def test_a_process_ends_with_its_parent_even_where_the_pipe_stays_open(tmp_path: Path):
    read_end, write_end = os.pipe()
    parent_program = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', sys.argv[1], sys.argv[2]],"
        " pass_fds=[int(sys.argv[2])], process_group=0, stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", parent_program, LIVES_BY_ITS_LIFELINE, str(read_end)],
        pass_fds=[read_end],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert _alive(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    waiting.wait_until(lambda: not _alive(child))
    os.close(read_end)
    os.close(write_end)


def _alive(pid: int) -> bool:
    """Whether the process runs; one that has ended may remain as a zombie."""
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
