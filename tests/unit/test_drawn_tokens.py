"""The draw of a token from a number, in small and large vocabularies."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grpo.rollout.engines.drawn_tokens import draw_tokens, uniform_numbers

LAST = 1 - 2**-53


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([1, 2, 7, 257, 1024, 1025, 1536, 5000]),
    st.integers(0, 2**32),
    st.sampled_from([0.0, 0.5, 0.999]),
    st.sampled_from([0.1, 3.0, 50.0]),
)
def test_a_token_is_the_one_at_which_the_sum_of_probabilities_passes_the_number(
    vocabulary: int, seed: int, masked: float, spread: float
):
    generator = torch.Generator().manual_seed(seed)
    logits = spread * torch.randn(50, vocabulary, generator=generator)
    hidden = torch.rand(logits.shape, generator=generator) < masked
    hidden[:, vocabulary // 2] = False
    logits = logits.masked_fill(hidden, -torch.inf)
    numbers = torch.rand(50, dtype=torch.float64, generator=generator)
    numbers[:3] = torch.tensor([0.0, LAST, 0.5])
    tokens, logprobs = draw_tokens(logits.clone(), numbers)
    expected = logits.double().log_softmax(dim=1)
    sums = expected.exp().cumsum(dim=1)
    drawn = tokens[:, None]
    above = sums.gather(1, drawn)[:, 0]
    below = above - expected.gather(1, drawn)[:, 0].exp()
    assert (below - 1e-5 <= numbers).all()
    assert (numbers <= above + 1e-5).all()
    assert logprobs.tolist() == pytest.approx(expected.gather(1, drawn)[:, 0].tolist(), abs=1e-4)


@pytest.mark.parametrize("vocabulary", [8, 4000])
def test_logits_that_are_not_finite_give_a_logprob_that_is_not(vocabulary: int):
    logits = torch.randn(3, vocabulary)
    logits[0, 5], logits[1] = torch.nan, -torch.inf
    tokens, logprobs = draw_tokens(logits, torch.tensor([0.5, 0.5, 0.5], dtype=torch.float64))
    assert logprobs.isfinite().tolist() == [False, False, True]
    assert ((tokens >= 0) & (tokens < vocabulary)).all()


def test_a_row_is_drawn_alike_whatever_the_other_rows_are():
    logits, numbers = torch.randn(64, 3000), uniform_numbers(1, 64)
    tokens, logprobs = draw_tokens(logits.clone(), numbers)
    for row in (0, 17, 63):
        alone = draw_tokens(logits[row : row + 1].clone(), numbers[row : row + 1])
        assert (int(alone[0]), float(alone[1])) == (int(tokens[row]), float(logprobs[row]))


def test_numbers_are_the_seeds_and_a_longer_completion_begins_with_them():
    assert torch.equal(uniform_numbers(7, 10), uniform_numbers(7, 1000)[:10])
    assert not torch.equal(uniform_numbers(7, 10), uniform_numbers(8, 10))
