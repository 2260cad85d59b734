"""Results of trying rewards, on given completions or on rows of a spec's data."""

from duet.objects.answer import Answer


class KindTried(Answer):
    """A reward's scores for one kind of synthetic completion."""

    completion: str
    """The completion for the first row, up to 500 characters."""
    scores: list[float | None]
    """Scores by row; None: scoring failed, or the row has no such completion."""
    seconds: float | None = None
    errors: list[str]


class RewardPreflight(Answer):
    """A reward's results on synthetic completions of known quality."""

    reward: str
    right_by: str | None = None
    """The reward that defines a right completion; None: unknown."""
    right: KindTried | None = None
    wrong: KindTried | None = None
    empty: KindTried
    huge: KindTried
    warnings: list[str]
    """Problems found with this reward, if any."""


class Preflight(Answer):
    """Results of a spec's rewards on sample rows of its training data."""

    num_rows: int
    seconds: float
    rewards: list[RewardPreflight]
    not_tried: str | None = None
    left_out: tuple[str, ...] = ()
    """Rewards that call a service, which a validation does not."""


class PartTried(Answer):
    """One reward's score for one completion."""

    reward: str
    score: float | None = None
    """Score before weighting."""
    seconds: float | None = None
    error: str | None = None


class CompletionTried(Answer):
    """A completion's reward: the weighted sum, and its parts."""

    total: float | None = None
    parts: list[PartTried]


class RewardsTried(Answer):
    """Results in the order of the completions."""

    completions: list[CompletionTried]
