"""End of this process when its parent dies or hangs, so that no orphan keeps training."""

import ctypes
import os
import select
import signal
import threading
import time
from typing import NoReturn

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def watch_parent(fd: int) -> None:
    """End this process when its parent ends, or at the last deadline written to the pipe `fd`.

    Each line is a deadline on CLOCK_MONOTONIC in seconds; when the latest one passes, or at end of
    file, the whole process group is killed.
    """
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent died before prctl
        _kill_group()
    threading.Thread(target=_watch, args=(fd,), name="lifeline", daemon=True).start()


def _watch(fd: int) -> NoReturn:
    deadline: float | None = None
    pending = b""
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        readable, _, _ = select.select([fd], [], [], left)
        received = os.read(fd, 65536) if readable else b""
        if not received:
            _kill_group()
        *lines, pending = (pending + received).split(b"\n")
        if lines:
            deadline = float(lines[-1])


def _kill_group() -> NoReturn:
    """Kill this process, and its group if it is the leader: other groups may be shared."""
    target = 0 if os.getpgid(0) == os.getpid() else os.getpid()
    os.kill(target, signal.SIGKILL)
    raise AssertionError("unreachable: killed")
