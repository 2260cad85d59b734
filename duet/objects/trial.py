"""Rewards that were tried, on completions of yours or on rows of a spec's data."""

from duet.objects.answer import Answer


class KindTried(Answer):
    """What a reward made of one kind of completion."""

    completion: str
    """The first row's, up to 500 characters."""
    scores: list[float | None]
    """Of each row; None: it failed, or the row has no such completion."""
    seconds: float | None = None
    errors: list[str]


class RewardPreflight(Answer):
    """A reward on completions of which it is known what they deserve."""

    reward: str
    right_by: str | None = None
    """The reward that says what a right completion looks like; None: not known."""
    right: KindTried | None = None
    wrong: KindTried | None = None
    empty: KindTried
    huge: KindTried
    warnings: list[str]
    """Empty: nothing is wrong with this reward."""


class Preflight(Answer):
    """What a spec's rewards make of sample rows of its training data."""

    num_rows: int
    seconds: float
    rewards: list[RewardPreflight]
    not_tried: str | None = None


class PartTried(Answer):
    """One reward of one completion."""

    reward: str
    score: float | None = None
    """Before its weight."""
    seconds: float | None = None
    error: str | None = None


class CompletionTried(Answer):
    """A completion's reward: the weighted sum, and its parts."""

    total: float | None = None
    parts: list[PartTried]


class RewardsTried(Answer):
    """In the order of the completions."""

    completions: list[CompletionTried]
