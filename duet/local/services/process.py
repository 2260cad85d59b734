"""A server as a child process, which dies with its parent."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


class ServiceError(RuntimeError):
    """A server did not start; the message includes the end of its log."""


class Child:
    """One running server, in its own process group, so that a terminal's Ctrl-C reaches only the
    parent.

    When the parent dies without stopping it, the kernel sends it `death_signal` (by default
    `stop_signal`).
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        name: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        death_signal: signal.Signals | None = None,
        user: int | None = None,
    ) -> None:
        self.name = name or Path(command[0]).name
        self.log = log
        self.stop_signal = stop_signal
        with log.open("ab") as out:
            self._log_start = out.tell()
            self.process = subprocess.Popen(
                [*_death_signal(death_signal or stop_signal), *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=None if env is None else {**os.environ, **env},
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Wait for the server to answer.

        Raises:
            ServiceError: it ended, or did not answer in time.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running or time.monotonic() > deadline:
                why = f"does not answer after {seconds:g} s" if self.running else "ended"
                self.stop(seconds=5)
                raise ServiceError(f"{self.name} {why}; see {self.log}:\n{self.last_words()}")
            time.sleep(0.02)

    def words_since_start(self) -> str:
        """Return its log since its start; the file also contains logs of earlier starts."""
        with self.log.open("rb") as words:
            words.seek(self._log_start)
            return words.read().decode(errors="replace")

    def bound_log(self, *, num_bytes: int) -> None:
        """Copy a log larger than `num_bytes` to NAME.1 (replacing the previous one) and truncate
        it; the server keeps the file open and appends."""
        if self.log.stat().st_size > num_bytes:
            shutil.copyfile(self.log, self.log.with_name(f"{self.log.name}.1"))
            os.truncate(self.log, 0)
            self._log_start = 0

    def last_words(self, lines: int = 15) -> str:
        return "\n".join(self.words_since_start().splitlines()[-lines:])

    def kill(self) -> None:
        """Kill it with all processes of its group."""
        if self.running:
            os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()

    def stop(self, *, seconds: float = 30) -> None:
        """Stop it, and kill it after `seconds`; harmless if it has already ended."""
        if self.running:
            self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()


def free_port() -> int:
    """Return a TCP port on the loopback that is currently free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_free(port: int) -> bool:
    """Whether a server could listen on the port; recently closed connections do not matter."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Whether something accepts connections at this port of the loopback."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _death_signal(sent: signal.Signals) -> list[str]:
    """Return a command prefix that makes the kernel stop the server when the parent's thread ends,
    even by kill -9."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", sent.name.removeprefix("SIG"), "--"] if setpriv else []
