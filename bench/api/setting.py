"""Sizes and durations of the measurements."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """Sizes; one warm-up round precedes the `rounds` that count."""

    rounds: int
    seconds: float  # of a turn
    num_clients: int  # concurrent clients
    num_jobs: int  # in the long list
    num_steps: int  # of the long job
    num_watchers: int
    num_events: int  # a turn


FULL = Effort(5, 2.0, 8, 100_000, 100_000, 1000, 10)
QUICK = Effort(1, 1.0, 4, 2000, 5000, 100, 5)
