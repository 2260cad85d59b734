"""The installed `duet` command as a process, and what is left of it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

DUET = str(Path(sys.executable).with_name("duet"))
OWN_SERVERS = ("DATABASE_URL", "REDIS_URL", "ARTIFACTS_URL", "DUET_URL", "DUET_API_KEY")


def environment(**added: str) -> dict[str, str]:
    """Ours without any server of ours, as on a machine where nothing is set."""
    inherited = {name: value for name, value in os.environ.items() if name not in OWN_SERVERS}
    return {**inherited, "OMP_NUM_THREADS": "1", **added}


def run_duet(
    *arguments: str, cwd: Path, env: Mapping[str, str] | None = None, seconds: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, without a terminal."""
    return subprocess.run(
        [DUET, *arguments],
        cwd=cwd,
        env=env or environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def start_up(
    folder: Path, *options: str, env: Mapping[str, str] | None = None
) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    """`duet up --json` on a folder, and what it said when everything answered."""
    with (folder / "up.log").open("a") as log:
        up = subprocess.Popen(
            [DUET, "up", "--json", *options],
            cwd=folder,
            env=env or environment(),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert up.stdout is not None
    line = up.stdout.readline()
    assert line, f"duet up ended with {up.wait()}: {(folder / 'up.log').read_text()}"
    return up, json.loads(line)


def assert_all_gone(pids: Sequence[int], *, seconds: float = 20) -> None:
    """Every process has ended; zombies that their parent has not collected count as ended."""
    deadline = time.monotonic() + seconds
    while left := [pid for pid in pids if _alive(pid)]:
        assert time.monotonic() < deadline, f"still running: {[_command(pid) for pid in left]}"
        time.sleep(0.05)


def descendants(pid: int) -> list[int]:
    """A process's children, their children, and so on."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for task in tasks for child in task.read_text().split()]
    return children + [far for child in children for far in descendants(child)]


def _alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
