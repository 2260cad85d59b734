"""The installed `duet` command as a process, and its child processes."""

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.waiting import deadline

DUET = str(Path(sys.executable).with_name("duet"))
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
OWN_SERVERS = ("DATABASE_URL", "REDIS_URL", "ARTIFACTS_URL", "DUET_URL", "DUET_API_KEY")
OWN_SIZE = ("COLUMNS", "LINES")  # which would count for more than the size of a terminal we open


def environment(**added: str) -> dict[str, str]:
    """Environment without the tests' servers, as on a new machine."""
    ours = (*OWN_SERVERS, *OWN_SIZE)
    inherited = {name: value for name, value in os.environ.items() if name not in ours}
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
        timeout=deadline(seconds),
        check=False,
    )


class Terminal:
    """A command in its own terminal, as run by a person."""

    def __init__(self, *arguments: str, cwd: Path, env: Mapping[str, str], columns: int) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            [DUET, *arguments],
            cwd=cwd,
            env={**env, "TERM": "xterm-256color"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self._written = b""

    @property
    def lines(self) -> list[str]:
        """Return all output line by line, without colors and cursor moves."""
        return re.split(r"[\r\n]+", CONTROL.sub("", self._written.decode(errors="ignore")))

    def read_until(self, text: str, *, seconds: float = 60) -> None:
        """Raises AssertionError when it is not written in time."""
        latest = time.monotonic() + deadline(seconds)
        while not any(text in line for line in self.lines):
            assert time.monotonic() < latest, f"{text!r} is not among {self.lines}"
            assert self._read(), f"it ended without {text!r}: {self.lines}"

    def wait(self, *, seconds: float = 60) -> int:
        """Exit code, once all output has been read."""
        latest = time.monotonic() + deadline(seconds)
        while self._read():
            assert time.monotonic() < latest, f"it does not end: {self.lines}"
        os.close(self._master)
        return self.process.wait(deadline(seconds))

    def _read(self) -> bool:
        """Read more output; False at the end."""
        if not select.select([self._master], [], [], 0.5)[0]:
            return True
        try:
            self._written += os.read(self._master, 1 << 16)
        except OSError:  # EIO: how Linux says that the other side is closed
            return False
        return True


def start_up(
    folder: Path, *options: str, env: Mapping[str, str] | None = None
) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    """`duet up --json` on a folder, and its output once everything answers."""
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
    latest = time.monotonic() + deadline(seconds)
    while left := [pid for pid in pids if _alive(pid)]:
        assert time.monotonic() < latest, f"still running: {[_command(pid) for pid in left]}"
        time.sleep(0.05)


def descendants(pid: int) -> list[int]:
    """Return a process's descendants."""
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
