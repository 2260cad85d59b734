"""Translation of a trainer's end into its attempt's outcome."""

import signal
import unicodedata
from dataclasses import dataclass
from typing import Any

from grpo.errors import ERRORS, RunError
from store.jobs.outcomes import Completed, Failed, Stopped
from worker.machine.disk import is_full

HINTS = {
    signal.SIGKILL: "The system may have run out of memory: use a smaller model, fewer prompts per "
    "step or shorter completions.",
    signal.SIGSEGV: "Native code crashed: see the log; a retry may succeed.",
}
DISK_FULL = "the disk of the worker's run directories is full"
DISK_HINT = (
    "Free space on the worker's disk, or save checkpoints less often; the next attempt resumes "
    "from the last one."
)
SPEC_REFUSED = 2
"""Exit code of `python -m grpo` for arguments or a spec that it does not accept."""
SPEC_HINT = (
    "The server accepted this spec but the worker's trainer did not: run the same version of Duet "
    "on both, then submit the job again."
)
OF_THE_MACHINE = frozenset({"disk_full", "gpu_unavailable"})
"""Errors after which the worker stops taking jobs."""
LAST_LINE_CHARS = 300
WORKER_HINT = "This is an internal error of the worker: see the worker's own log."
STALLED_HINT = (
    "The last lines of the log show where it stopped. If it was only slow, as in a long evaluation "
    "or download, set the worker's DUET_STALL_SECONDS higher."
)


@dataclass(frozen=True)
class Ending:
    """A trainer's end.  `said` is the payload of its `end` record, if any."""

    said: dict[str, Any] | None
    exit_code: int
    ended_by_us: bool
    """Whether the worker stopped it, killed it, or let its deadline pass."""
    stalled: str | None = None
    """Description of the stall, if it was killed for that reason."""
    disk_full: bool = False
    """Whether the disk of its run directory is full, even for its `end` record."""
    log_tail: str = ""
    """The end of the trainer's log."""


def outcome_of(ending: Ending) -> Completed | Stopped | Failed:
    """Return the outcome that the store records."""
    match ending.said:
        case {"outcome": "completed", "reason": reason}:
            return Completed(reason)
        case {"outcome": "completed"}:
            return Completed()
        case {"outcome": "stopped"}:
            return Stopped()
        case {"outcome": "failed", "error": error}:
            return failed(error["code"], error["message"], error["hint"])
        case _ if ending.stalled is not None:
            return failed("stalled", ending.stalled, STALLED_HINT)
        case _ if ending.ended_by_us:
            return Stopped()
        case _ if ending.disk_full:
            return failed("disk_full", DISK_FULL, DISK_HINT)
        case _:
            return _crashed(ending.exit_code, _last_line(ending.log_tail))


def failed_by(error: Exception) -> Failed:
    """Return the outcome of an attempt that failed in the worker itself.  Its error is visible to
    the project, and an exception's text may contain paths and addresses of the worker: that text is
    only logged."""
    match error:
        case RunError():
            return failed(error.code, error.message, error.hint)
        case _ if is_full(error):
            return failed("disk_full", DISK_FULL, DISK_HINT)
        case _:
            return failed(
                "worker_error", f"the worker failed with {type(error).__name__}", WORKER_HINT
            )


def failed(code: str, message: str, hint: str) -> Failed:
    """Return a failure, retried as the table of errors says.  A full disk does not count as the
    job's failure: its worker claims no jobs until there is space (`worker.machine.write_check`).
    Neither does an unusable GPU: its slot is retired (`worker.machine.retired_gpus`)."""
    error = {"code": code, "message": message, "hint": hint}
    return Failed(error, retryable=ERRORS[code].retried, counts=code not in OF_THE_MACHINE)


def _crashed(exit_code: int, last_line: str) -> Failed:
    """Return the outcome of a trainer that wrote no `end` record."""
    said = f'; the last line of its log: "{last_line}"' if last_line else "; its log is empty"
    if exit_code == SPEC_REFUSED:
        return failed("spec_refused", f"the trainer refused to start{said}", SPEC_HINT)
    how, hint = f"exited with code {exit_code}", "The end of the log shows where it failed."
    if exit_code < 0:
        number = signal.Signals(-exit_code)
        how, hint = f"was killed by {number.name}", HINTS.get(number, hint)
    return failed("trainer_crashed", f"the trainer {how}{said}", hint)


def _last_line(log: str) -> str:
    """Return the last non-blank line of a log, in printable form and bounded length."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    shown = lines[-1] if lines else ""
    shown = "".join(" " if unicodedata.category(char)[0] == "C" else char for char in shown)
    return shown if len(shown) <= LAST_LINE_CHARS else f"{shown[:LAST_LINE_CHARS]}…"
