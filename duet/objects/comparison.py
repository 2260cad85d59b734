"""Several jobs on one axis."""

from duet.objects.answer import Answer


class Measured(Answer):
    """How far a job came, and what for."""

    score: float | None = None
    rollouts: float
    tokens: float
    seconds: float


class ComparedJob(Answer):
    """One job's curve, and its account against the baseline's."""

    id: str
    name: str
    status: str
    group_size: int
    step: list[int]
    x: list[float]
    """Where each step lies on the axis."""
    value: list[float | None]
    measured: Measured
    score_kept: float | None = None
    """Its score over the baseline's."""
    rollouts_saved: float | None = None
    """1 less its share of the baseline's."""
    time_saved: float | None = None


class Comparison(Answer):
    metric: str
    x: str
    baseline: str
    jobs: list[ComparedJob]
