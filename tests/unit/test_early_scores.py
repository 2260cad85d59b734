"""Scores of completions that have ended, while others are still drawn."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo.rollout.early_scores import EarlyScores
from tests.waiting import deadline

THREAD = ThreadPoolExecutor(1)


def doubled(items: Sequence[int]) -> list[int]:
    return [2 * item for item in items]


@given(st.lists(st.integers(), max_size=50), st.randoms(use_true_random=False))
def test_results_are_in_the_order_of_places_whenever_items_arrive(items: list[int], random: Random):
    scores = EarlyScores(doubled, THREAD, together=1)
    places = list(range(len(items)))
    random.shuffle(places)
    for place in places:
        scores.add(place, items[place])
    assert scores.results() == doubled(items)


def test_an_item_is_scored_before_the_last_one_arrives():
    scored = threading.Event()

    def score(items: Sequence[str]) -> list[str]:
        scored.set()
        return list(items)

    scores = EarlyScores(score, THREAD, together=1)
    scores.add(1, "second")
    assert scored.wait(timeout=deadline(30))
    scores.add(0, "first")
    assert scores.results() == ["first", "second"]


def test_items_that_arrive_during_a_scoring_are_scored_together():
    begun, finish = threading.Event(), threading.Event()
    calls: list[int] = []

    def score(items: Sequence[int]) -> list[int]:
        calls.append(len(items))
        begun.set()
        assert finish.wait(timeout=deadline(30))
        return list(items)

    scores = EarlyScores(score, THREAD, together=1)
    scores.add(0, 0)
    assert begun.wait(timeout=deadline(30))
    for place in range(1, 10):
        scores.add(place, place)
    finish.set()
    assert scores.results() == list(range(10))
    assert calls == [1, 9]


def test_an_error_of_a_score_reaches_the_one_who_draws():
    def score(items: Sequence[int]) -> list[int]:
        raise ValueError(f"{len(items)} items")

    scores = EarlyScores(score, THREAD, together=1)
    scores.add(0, 0)
    with pytest.raises(ValueError, match="1 items"):
        scores.results()


@given(st.integers(1, 5), st.integers(0, 12), st.randoms(use_true_random=False))
def test_the_items_of_a_group_are_scored_together_and_in_order(
    size: int, num_groups: int, random: Random
):
    calls: list[Sequence[int]] = []

    def score(places: Sequence[int]) -> list[int]:
        calls.append(places)
        return list(places)

    scores = EarlyScores(score, THREAD, together=size)
    places = list(range(size * num_groups))
    random.shuffle(places)
    for place in places:
        scores.add(place, place)
    assert scores.results() == list(range(size * num_groups))
    for call in calls:
        for start in range(0, len(call), size):
            first = call[start]
            assert list(call[start : start + size]) == list(range(first, first + size))
            assert first % size == 0
