"""The states of a job, the user's request, and the allowed transitions."""

from enum import StrEnum


class Status(StrEnum):
    """The current state of a job.  Terminal states are final."""

    QUEUED = "queued"
    """In: a submission; a resume; an attempt that ended while `run` is wanted.  Out: a claim; a
    pause; a cancel."""
    RUNNING = "running"
    """In: a worker's claim.  Out: that worker's `finish`, or the reaper at the lease's end."""
    PAUSED = "paused"
    """In: a pause while queued; an attempt that ended while `pause` is wanted.  Out: a resume; a
    cancel."""
    SUCCEEDED = "succeeded"
    """In: an attempt that completed, its final checkpoint registered.  Out: never."""
    FAILED = "failed"
    """In: an error that no retry fixes, or too many failures in a row.  Out: never."""
    CANCELLED = "cancelled"
    """In: a cancel while queued or paused; an attempt that ended while `cancel` or `kill` is
    wanted.  Out: never."""

    @property
    def terminal(self) -> bool:
        return self in TERMINAL


TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED})


class Wanted(StrEnum):
    """The user's request, in ascending order: only a resume lowers the value, from `pause` to
    `run`.

    A Postgres enum in this order.
    """

    RUN = "run"
    PAUSE = "pause"
    CANCEL = "cancel"
    """Finish the step, save, end."""
    KILL = "kill"
    """End now, save nothing."""

    @property
    def ends(self) -> bool:
        """Whether the job is to end."""
        return self in (Wanted.CANCEL, Wanted.KILL)
