"""What a job is, what its user wants of it, and who may move it."""

from enum import StrEnum


class Status(StrEnum):
    """What a job is now.  Terminal states are sticky."""

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
    """In: an error that no retry mends, or too many failures in a row.  Out: never."""
    CANCELLED = "cancelled"
    """In: a cancel while queued or paused; an attempt that ended while `cancel` or `kill` is
    wanted.  Out: never."""

    @property
    def terminal(self) -> bool:
        return self in TERMINAL


TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED})


class Wanted(StrEnum):
    """What the user asked for, in ascending order: it only rises, but for a resume, which
    takes `pause` back to `run`.

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
