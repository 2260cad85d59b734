"""Outer side of the sandbox: starts it, sends cases, reads scores."""

import json
import os
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

INSIDE = Path(__file__).with_name("inside.py")
# Without threads of its own a library can be isolated.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
MAX_ANSWER_BYTES = 1 << 16
NOBODY = 65534


class SandboxUnavailable(Exception):
    """The machine does not allow the sandbox's isolation; the message names the failed step."""


class GraderFailed(Exception):
    """The source's `grade` raised, ended its process, or returned no number."""


class Sandbox:
    """One isolated process with the `grade` of one source text, started at first use.

    There is no time limit here: the process dies with the process (the thread) that started it,
    which is killed if it takes too long.
    """

    def __init__(self, source: str, *, own_grader: Path | None = None) -> None:
        """`own_grader`: a file of this project that defines `grade`, in place of a source text.  It
        runs before the isolation, to load libraries; the installed packages stay readable."""
        self._source = source
        self._own_grader = own_grader
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None

    def grade(self, sample: Mapping[str, Any], item: Mapping[str, Any]) -> float:
        """Return the score of one completion.

        Raises:
            SandboxUnavailable: this machine does not support the isolation.
            GraderFailed: with an explanation for the user.
        """
        self.start()
        assert self._channel is not None
        reply = self._ask(self._channel, {"sample": sample, "item": item})
        if not isinstance(score := reply.get("score"), float):
            raise GraderFailed(str(reply.get("error", "its process returned no score")))
        return score

    def start(self) -> None:
        """Start the process unless it is running.

        Raises:
            SandboxUnavailable, GraderFailed: as `grade`.
        """
        if self._channel is not None:
            return
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                # Not the virtual environment's link, whose target is not accessible inside.
                [
                    *(os.path.realpath(sys.executable), "-I", "-S", str(INSIDE)),
                    *(str(theirs.fileno()), *self._own()),
                ],
                env={} if self._own_grader is None else ONE_THREAD,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._isolate(self._channel, self._process.pid)
        loaded = self._ask(self._channel, {"source": self._source})
        if "loaded" not in loaded:
            self.close()
            raise GraderFailed(str(loaded.get("error", "its process returned no answer")))

    def close(self) -> None:
        """End the process; a later `grade` starts a new one."""
        if self._process is not None and self._channel is not None:
            self._channel.close()
            self._process.kill()
            self._process.wait()
        self._process = self._channel = None

    def _own(self) -> list[str]:
        """The arguments for a grader of this project: its file, our packages and the installed."""
        if self._own_grader is None:
            return []
        installed = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
        root = Path(__file__).parents[3]
        return [str(self._own_grader), str(root), *installed]

    def _isolate(self, channel: socket.socket, pid: int) -> None:
        try:
            reply = self._receive(channel)
            if "unshared" in reply:
                _map_users(pid)
                reply = self._ask(channel, {"mapped": True})
        except (GraderFailed, OSError) as error:
            self.close()
            raise SandboxUnavailable(str(error)) from None
        if "isolated" not in reply:
            self.close()
            raise SandboxUnavailable(str(reply.get("unavailable")))

    def _ask(self, channel: socket.socket, message: Mapping[str, Any]) -> dict[str, Any]:
        with suppress(OSError):  # the process has ended: its reply is missing too
            channel.sendall(json.dumps(message).encode() + b"\n")
        return self._receive(channel)

    def _receive(self, channel: socket.socket) -> dict[str, Any]:
        """Read an untrusted reply: a short line of JSON, else the process is ended."""
        received = bytearray()
        while not received.endswith(b"\n"):
            some = b"" if len(received) > MAX_ANSWER_BYTES else _read(channel)
            if not some:
                self.close()
                raise GraderFailed("its process ended without an answer")
            received += some
        try:
            reply = json.loads(received)
        except (ValueError, RecursionError):
            reply = None
        if not isinstance(reply, dict):
            self.close()
            raise GraderFailed("its process returned an unreadable answer")
        return reply


def _read(channel: socket.socket) -> bytes:
    try:
        return channel.recv(MAX_ANSWER_BYTES)
    except OSError:
        return b""


def _map_users(pid: int) -> None:
    """Map the user ids: root inside is root until its file system is set up, then `nobody`; any
    other user is always `nobody` inside."""
    process = Path(f"/proc/{pid}")
    if os.geteuid() == 0:
        users = groups = f"0 0 1\n{NOBODY} {NOBODY} 1\n"
    else:
        (process / "setgroups").write_text("deny")
        users, groups = f"{NOBODY} {os.geteuid()} 1\n", f"{NOBODY} {os.getegid()} 1\n"
    (process / "gid_map").write_text(groups)
    (process / "uid_map").write_text(users)
