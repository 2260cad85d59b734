"""The trainer as a child process: in its own group, with a log file and a deadline over a pipe."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from worker.processes import group_members, started_at, wait_until_gone

LOG_TAIL_BYTES = 8_000


class TrainerProcess:
    """One running trainer.  Create it in the thread that will wait for it: the kernel sends the
    death signal (PR_SET_PDEATHSIG) when the *thread* that started a process ends.
    """

    def __init__(
        self, command: Sequence[str], *, log: Path, environment: Mapping[str, str]
    ) -> None:
        """Start `command --lifeline-fd N`."""
        reading, self._lifeline = os.pipe()
        try:
            with log.open("ab") as out:
                self._process = subprocess.Popen(
                    [*command, "--lifeline-fd", str(reading)],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    pass_fds=[reading],
                    process_group=0,
                )
        except BaseException:
            os.close(self._lifeline)
            raise
        finally:
            os.close(reading)
        os.set_blocking(self._lifeline, False)
        self._kill_at: float | None = None
        self.asked_to_end = False

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def started_at(self) -> int:
        """Start time in clock ticks since boot."""
        ticks = started_at(self.pid)
        return 0 if ticks is None else ticks

    @property
    def running(self) -> bool:
        """Whether it runs.  An ended trainer stays a zombie until `close`, so that its process id
        and group are not reused."""
        return _ended(self.pid) is None

    @property
    def exit_code(self) -> int:
        """Exit code in subprocess's form: negative for a signal."""
        ended = _ended(self.pid)
        assert ended is not None, "the trainer still runs"
        code = ended.si_status
        return code if ended.si_code == os.CLD_EXITED else -code

    def extend_life(self, deadline: float) -> None:
        """Extend its deadline to `deadline` (time.monotonic()); later calls extend it further."""
        # The reader has ended, or is suspended and will find its deadline passed.
        with suppress(BrokenPipeError, BlockingIOError):
            os.write(self._lifeline, f"{deadline}\n".encode())

    def wait(self, *, seconds: float) -> None:
        """Wait until it has ended, at most `seconds`."""
        deadline = time.monotonic() + seconds
        while self.running and time.monotonic() < deadline:
            time.sleep(min(0.05, seconds))

    def stop(self, *, grace_seconds: float) -> None:
        """Send SIGTERM on the first call, SIGKILL on the first call after the grace period."""
        if self._kill_at is None:
            self.asked_to_end = True
            self._kill_at = time.monotonic() + grace_seconds
            os.kill(self.pid, signal.SIGTERM)
        elif time.monotonic() > self._kill_at:
            self.kill()

    def kill(self) -> None:
        """Send SIGKILL to its whole process group."""
        self.asked_to_end = True
        os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """End its group and wait for all its processes, which frees GPU memory.  Its process id may
        be reused afterwards.
        """
        self.kill()
        wait_until_gone(group_members(self.pid))
        self._process.wait()
        os.close(self._lifeline)


def log_tail(path: Path) -> str:
    """Return the last lines of a log; empty without a log."""
    if not path.exists():
        return ""
    with path.open("rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
        return log.read().decode(errors="replace")


def _ended(pid: int) -> os.waitid_result | None:
    """Return a child's exit status without reaping it; None while it runs."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
