"""Several jobs on one axis."""

from duet.objects.answer import Answer


class Measured(Answer):
    """A job's score and its cost."""

    score: float | None = None
    rollouts: float
    tokens: float
    seconds: float


class ComparedJob(Answer):
    """One job's curve, and its score and cost relative to the baseline."""

    id: str
    name: str
    status: str
    group_size: int
    step: list[int]
    x: list[float]
    """Position of each step on the axis."""
    value: list[float | None]
    measured: Measured
    score_kept: float | None = None
    """Ratio of its score to the baseline's."""
    rollouts_saved: float | None = None
    """Fraction saved relative to the baseline."""
    time_saved: float | None = None


class Comparison(Answer):
    metric: str
    x: str
    baseline: str
    jobs: list[ComparedJob]
