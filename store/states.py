"""The states of a job, the user's request, and the allowed transitions."""

from enum import StrEnum


class Status(StrEnum):
    """The current state of a job.  Terminal states are final."""

    QUEUED = "queued"
    """Entered by a submission, a resume, or the end of an attempt while `run` is wanted; left by a
    claim, a pause or a cancel."""
    RUNNING = "running"
    """Entered by a worker's claim; left by its `finish`, or by the reaper at lease expiry."""
    PAUSED = "paused"
    """Entered by a pause while queued, or the end of an attempt while `pause` is wanted; left by a
    resume or a cancel."""
    SUCCEEDED = "succeeded"
    """Entered by an attempt that completed with a registered final checkpoint; terminal."""
    FAILED = "failed"
    """Entered by an error that no retry fixes, or by too many failures in a row; terminal."""
    CANCELLED = "cancelled"
    """Entered by a cancel while queued or paused, or the end of an attempt while `cancel` or `kill`
    is wanted; terminal."""

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
