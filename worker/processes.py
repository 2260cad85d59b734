"""Identification of processes despite reused ids, and the end of leftover processes."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
PROCESS_GROUP, START_TIME = 2, 19  # of /proc/PID/stat, counted after the command's name


def boot_id() -> str:
    """Return the id of the machine's current boot: process ids are only valid within it."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def started_at(pid: int) -> int | None:
    """Return a process's start time in clock ticks since boot; None if it has ended or never was.

    A zombie counts as ended: only its parent can reap it.
    """
    fields = _stat(pid)
    return None if fields is None or fields[0] == "Z" else int(fields[START_TIME])


def group_members(group: int) -> list[int]:
    """Return the ids of running processes in a process group."""
    return [pid for pid, fields in _all_processes() if int(fields[PROCESS_GROUP]) == group]


def end_leftovers(leader: int, leader_started_at: int) -> bool:
    """Kill the rest of the group that this leader started; return whether there was any.

    If the leader's id now belongs to a younger process, the group is a different one: an id is not
    reused while a group of that number exists.
    """
    fields = _stat(leader)
    if fields is not None and int(fields[START_TIME]) != leader_started_at:
        return False
    left = group_members(leader)
    if left:
        os.killpg(leader, signal.SIGKILL)
        wait_until_gone(left)
    return bool(left)


def wait_until_gone(pids: list[int], *, seconds: float = 10) -> None:
    """Wait until killed processes have ended, which may take a while inside a system call."""
    deadline = time.monotonic() + seconds
    while any(started_at(pid) is not None for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)


def _all_processes() -> Iterator[tuple[int, list[str]]]:
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields is not None and fields[0] != "Z":
                yield int(entry.name), fields


def _stat(pid: int) -> list[str] | None:
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()  # the name before it may contain spaces and parentheses
