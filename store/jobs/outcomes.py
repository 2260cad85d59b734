"""Outcomes of an attempt, and the job's next state."""

from dataclasses import dataclass
from typing import Any

from grpo.errors import ERRORS
from store.states import Status, Wanted


@dataclass(frozen=True)
class Completed:
    """The trainer reached its last step, or ended early for a `reason`."""

    reason: str = "completed"


@dataclass(frozen=True)
class Stopped:
    """The trainer stopped at its user's request or because its worker shut down."""


@dataclass(frozen=True)
class Failed:
    """The trainer ended by an error {code, message, hint}; another attempt may help if `retryable`.

    An error that does not `count` has been remedied, and does not indicate that the job cannot run.
    """

    error: dict[str, Any]
    retryable: bool
    counts: bool = True


@dataclass(frozen=True)
class Lost:
    """The attempt's lease expired; error: {code, message, hint}."""

    error: dict[str, Any]


Outcome = Completed | Stopped | Failed | Lost


@dataclass(frozen=True)
class ExitInfo:
    """Exit of the trainer process, by an exit `code` or a `signal`."""

    code: int | None = None
    signal: int | None = None
    log_tail: str = ""


@dataclass(frozen=True)
class Move:
    """The job's next state, by `decide`."""

    status: Status
    reason: str
    failures: int


BACKOFF_FACTOR = 3
LONGEST_BACKOFF_SECONDS = 600

CHECKPOINT_MISSING = Failed(
    error={
        "code": "checkpoint_missing",
        "message": "training ended, but its final checkpoint is not in the artifact store",
        "hint": "see the worker's log for why the upload failed; the artifact store may be full",
    },
    retryable=ERRORS["checkpoint_missing"].retried,
)


def checked(outcome: Outcome, *, has_final_checkpoint: bool) -> Outcome:
    """Return the outcome, as a failure for a completion without a final checkpoint."""
    if isinstance(outcome, Completed) and not has_final_checkpoint:
        return CHECKPOINT_MISSING
    return outcome


def decide(outcome: Outcome, *, wanted: Wanted, failures: int, max_failures: int) -> Move:
    """Return the job's next state by the first rule that applies:

    - completed: succeeded, whatever was requested;
    - cancel or kill is wanted: cancelled;
    - failed by an error that another attempt would meet again: failed;
    - failed by an error that does not count: no further failure;
    - lost or failed: one more failure, and failed at `max_failures`;
    - otherwise, and after a failure below that limit: paused if pause is wanted, else queued.
    """
    match outcome:
        case Completed(reason):
            return Move(Status.SUCCEEDED, reason, failures)
        case _ if wanted.ends:
            return Move(Status.CANCELLED, f"{wanted} was requested{_ended_by(outcome)}", failures)
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
    """Return a job's wait after consecutive failures: 10, 30, 90, 270 and then 600 seconds.

    The wait leaves time to repair a worker or a disk before the job uses up its failures.
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
