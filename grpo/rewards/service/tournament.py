"""Comparisons within a group: which pairs are asked for, and what a completion gets for them."""

from collections.abc import Callable, Sequence
from statistics import fmean

from grpo.rewards.grading import Failed
from grpo.rewards.reward import Case
from grpo.rewards.service.question import groups

Pair = tuple[int, int]
ALONE = Failed("it has no other completion of its prompt to be compared with")


def pairings(cases: Sequence[Case], *, opponents: int) -> list[Pair]:
    """Return the positions of each pair of completions that are compared, group by group.

    In a group of up to opponents + 1 all pairs; in a larger one each completion meets its
    neighbours in a ring, `opponents` of them (one less if odd, but two at least).
    """
    pairs: list[Pair] = []
    for members in groups(cases):
        pairs += [(members[one], members[other]) for one, other in _ring(len(members), opponents)]
    return pairs


def shares(
    cases: Sequence[Case],
    verdict: Callable[[int, int], float | Failed],
    *,
    opponents: int,
) -> list[float | Failed]:
    """Return each completion's mean verdict against the others that it meets.

    A comparison that failed is a failed score of both.
    """
    won: list[list[float]] = [[] for _ in cases]
    failed: list[Failed | None] = [None] * len(cases)
    for one, other in pairings(cases, opponents=opponents):
        found = verdict(one, other)
        if isinstance(found, Failed):
            failed[one] = failed[other] = found
        else:
            won[one].append(found)
            won[other].append(1 - found)
    return [
        cause or (fmean(verdicts) if verdicts else ALONE)
        for cause, verdicts in zip(failed, won, strict=True)
    ]


def _ring(size: int, opponents: int) -> list[Pair]:
    if size - 1 <= opponents:
        return [(one, other) for one in range(size) for other in range(one + 1, size)]
    steps = range(1, max(1, opponents // 2) + 1)
    found = {
        (min(one, other), max(one, other))
        for one in range(size)
        for step in steps
        if (other := (one + step) % size) != one
    }
    return sorted(found)
