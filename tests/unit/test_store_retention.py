"""Outdated checkpoints, worked by hand."""

from datetime import UTC, datetime

import pytest

from store.jobs.checkpoint_retention import outdated
from store.tables import Checkpoint


def checkpoint(step: int, metric: float | None = None, **facts: object) -> Checkpoint:
    return Checkpoint(**{"step": step, "attempt": 1, "metric": metric, "final": False} | facts)


def damaged(step: int, metric: float | None = None, **facts: object) -> Checkpoint:
    return checkpoint(step, metric, damaged_at=datetime(2026, 1, 1, tzinfo=UTC), **facts)


@pytest.mark.parametrize(
    ("registered", "keep_last", "keep_best", "expected"),
    [
        ([], 2, True, []),
        ([checkpoint(1), checkpoint(2), checkpoint(3), checkpoint(4)], 2, True, [2, 1]),
        ([checkpoint(1), checkpoint(2), checkpoint(3)], 1, True, [2, 1]),
        ([checkpoint(1), checkpoint(2)], 5, False, []),
        ([checkpoint(1, 0.4), checkpoint(2, 0.7), checkpoint(3, 0.5)], 1, True, [1]),
        ([checkpoint(1, 0.4), checkpoint(2, 0.7), checkpoint(3, 0.5)], 1, False, [2, 1]),
        # A tie is no new best: the earlier one stays.
        ([checkpoint(1, 0.7), checkpoint(2, 0.7), checkpoint(3)], 1, True, [2]),
        # Only the final one ends a job, so it stays even where a later attempt went on from it.
        ([checkpoint(4, final=True), checkpoint(4, attempt=2), checkpoint(5)], 1, True, [4]),
        # Made once more by a later attempt, it takes the place of the first, unless it is damaged.
        ([checkpoint(4, final=True), checkpoint(4, attempt=2, final=True)], 2, True, [4]),
        ([checkpoint(4, final=True), damaged(4, attempt=2, final=True)], 2, True, []),
        # A damaged one is neither among the last nor the best; it goes when it is old.
        ([checkpoint(1), checkpoint(2), damaged(3)], 2, True, []),
        ([damaged(1, 0.9), checkpoint(2, 0.5), checkpoint(3), checkpoint(4)], 1, True, [3, 1]),
    ],
)
def test_a_checkpoint_that_is_not_final_new_or_best_is_outdated(
    registered: list[Checkpoint], keep_last: int, keep_best: bool, expected: list[int]
):
    found = outdated(registered, keep_last=keep_last, keep_best=keep_best)
    assert [item.step for item in found] == expected
