"""How an attempt can end, and what becomes of its job then."""

from dataclasses import dataclass
from typing import Any

from grpo.errors import ERRORS
from store.states import Status, Wanted


@dataclass(frozen=True)
class Completed:
    """The trainer reached its last step, or ended before it for a `reason`."""

    reason: str = "completed"


@dataclass(frozen=True)
class Stopped:
    """It was asked to stop, by its user or by its worker's shutdown, and did."""


@dataclass(frozen=True)
class Failed:
    """It ended by an error {code, message, hint}; another attempt helps if `retryable`.

    One that does not `count` is mended already: it is no sign that the job cannot run.
    """

    error: dict[str, Any]
    retryable: bool
    counts: bool = True


@dataclass(frozen=True)
class Lost:
    """Nobody heard of it any more: {code, message, hint}."""

    error: dict[str, Any]


Outcome = Completed | Stopped | Failed | Lost


@dataclass(frozen=True)
class ExitInfo:
    """How the child ended.  `code` and `signal`: None where it did not end that way."""

    code: int | None = None
    signal: int | None = None
    log_tail: str = ""


@dataclass(frozen=True)
class Move:
    """What `decide` found."""

    status: Status
    reason: str
    failures: int


BACKOFF_FACTOR = 3
LONGEST_BACKOFF_SECONDS = 600

CHECKPOINT_MISSING = Failed(
    error={
        "code": "checkpoint_missing",
        "message": "training ended, but its final checkpoint is not in the artifact store",
        "hint": "see the worker's log for why the upload failed: is the artifact store full?",
    },
    retryable=ERRORS["checkpoint_missing"].retried,
)


def checked(outcome: Outcome, *, has_final_checkpoint: bool) -> Outcome:
    """The outcome as it counts: a completion without a final checkpoint is a failure."""
    if isinstance(outcome, Completed) and not has_final_checkpoint:
        return CHECKPOINT_MISSING
    return outcome


def decide(outcome: Outcome, *, wanted: Wanted, failures: int, max_failures: int) -> Move:
    """The job's next state.  Read from the top, the first that fits:

    - completed: succeeded, whatever is wanted;
    - cancel or kill is wanted: cancelled;
    - failed by an error that another attempt would meet again: failed;
    - failed by what does not count: no failure more;
    - lost or failed: one failure more, and failed when there are `max_failures`;
    - else, and after a failure that is not the last: paused if pause is wanted, or queued.
    """
    match outcome:
        case Completed(reason):
            return Move(Status.SUCCEEDED, reason, failures)
        case _ if wanted.ends:
            return Move(Status.CANCELLED, f"{wanted} was asked for{_ended_by(outcome)}", failures)
        case Stopped():
            reason = "paused" if wanted is Wanted.PAUSE else "its worker stopped"
            return Move(_waiting(wanted), reason, failures)
        case Failed(error, retryable=False):
            return Move(Status.FAILED, error["message"], failures + 1)
        case Failed(error, counts=False):
            return Move(_waiting(wanted), error["message"], failures)
        case Failed(error) | Lost(error):
            failures += 1
            counted = f"failure {failures} of {max_failures}: {error['message']}"
            over = failures >= max_failures
            return Move(Status.FAILED if over else _waiting(wanted), counted, failures)


def backoff_seconds(failures: int, *, first_seconds: float) -> float:
    """What a job waits after so many failures in a row: 10, 30, 90, 270 and then 600 seconds.

    A worker or a disk that cannot run it thus gets time to be mended before all its failures are
    used up.
    """
    return min(first_seconds * BACKOFF_FACTOR ** (failures - 1), LONGEST_BACKOFF_SECONDS)


def _waiting(wanted: Wanted) -> Status:
    return Status.PAUSED if wanted is Wanted.PAUSE else Status.QUEUED


def _ended_by(outcome: Outcome) -> str:
    match outcome:
        case Failed(error) | Lost(error):
            return f"; the attempt ended by {error['code']}: {error['message']}"
        case _:
            return ""
