"""A job and its checkpoints as plain Python: the model that the store must follow."""

from dataclasses import dataclass, field
from uuid import UUID

ENDED = ("succeeded", "failed", "cancelled")


@dataclass
class Saved:
    """A checkpoint in the model."""

    step: int
    attempt: int
    final: bool
    damaged: bool = False


@dataclass
class ModelJob:
    """Expected state of one job."""

    max_failures: int
    priority: int
    place: int
    """Order within its priority; smaller is earlier."""
    start: Saved | None = None
    retry_of: UUID | None = None
    source: UUID | None = None
    """Job whose checkpoint is this job's model."""
    status: str = "queued"
    wanted: str = "run"
    attempt: int = 0
    failures: int = 0
    step: int = 0
    shipped: int = 0
    saved: list[Saved] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    def last(self) -> Saved | None:
        """Last usable checkpoint of the job itself."""
        usable = [item for item in self.saved if not item.damaged]
        return max(usable, key=lambda item: (item.step, item.attempt), default=None)

    def end_attempt(self, outcome: str) -> None:
        """The table under "states" of the design."""
        if outcome == "completed" and not any(s.final and not s.damaged for s in self.saved):
            outcome = "crashed"
        counted = outcome in ("crashed", "hopeless", "lost")
        if outcome == "completed":
            self.status = "succeeded"
        elif self.wanted in ("cancel", "kill"):
            self.status = "cancelled"
        else:
            self.failures += counted
            over = outcome == "hopeless" or (counted and self.failures >= self.max_failures)
            waiting = "paused" if self.wanted == "pause" else "queued"
            self.status = "failed" if over else waiting
