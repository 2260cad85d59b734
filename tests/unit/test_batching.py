"""Batches: every row once, within the budget, with the right layout."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from grpo.models.token_batch import micro_batches, split_evenly, token_batch


@given(st.lists(st.integers(1, 200), max_size=100), st.integers(1, 500))
def test_micro_batches_hold_every_row_once_within_the_budget(lengths: list[int], budget: int):
    batches = micro_batches(lengths, token_budget=budget)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[row] for row in batch)
        assert padded <= budget or len(batch) == 1


def test_rows_of_like_length_share_a_batch_the_longest_first():
    assert micro_batches([10, 90, 12, 88, 11], token_budget=180) == [[1, 3], [2, 4, 0]]


def test_a_row_longer_than_the_budget_is_alone():
    assert micro_batches([50, 5, 5], token_budget=10) == [[0], [1, 2]]


@given(st.lists(st.integers(), min_size=1), st.integers(1, 20))
def test_minibatches_are_neighbours_and_of_equal_size_but_for_one(items: list[int], parts: int):
    split = split_evenly(items, parts)
    assert [item for part in split for item in part] == items
    assert len(split) == parts
    assert max(map(len, split)) - min(map(len, split)) <= 1


def test_the_positions_before_completion_tokens_predict_them():
    batch = token_batch([((7, 8), (1, 2, 3)), ((9,), (4,))], device=torch.device("cpu"))
    assert batch.input_ids.tolist() == [[7, 8, 1, 2, 3], [9, 4, 0, 0, 0]]
    assert batch.predicts.tolist() == [
        [False, True, True, True, False],  # 8 predicts 1, 1 predicts 2, 2 predicts 3
        [True, False, False, False, False],
    ]
    assert batch.targets.tolist() == [1, 2, 3, 4]
    assert batch.lengths.tolist() == [3, 1]
