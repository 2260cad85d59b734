"""Sweeps: jobs that were submitted together and differ in some fields."""

from datetime import datetime
from typing import Any

from duet.objects.answer import Answer
from duet.objects.estimate import Validated
from duet.objects.job import Progress


class SweepJob(Answer):
    id: str
    name: str
    status: str
    status_reason: str
    progress: Progress
    differs: dict[str, Any]
    """Fields of its resolved spec that differ between the jobs, by dotted path."""
    metric: str
    value: float | None = None
    """The metric's last value."""


class Sweep(Answer):
    id: str
    jobs: list[SweepJob]


class SweepSummary(Answer):
    """A sweep in the list of sweeps."""

    id: str
    name: str
    """Name of its first job."""
    created_at: datetime
    jobs: dict[str, int]
    """Number of its jobs by status."""


class ValidatedSweep(Answer):
    """The result of validating a sweep."""

    jobs: list[Validated]
