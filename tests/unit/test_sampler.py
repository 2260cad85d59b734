import json
from fractions import Fraction

import pytest

from grpo.data.prompt_sampler import PromptSampler
from grpo.data.sources import SourceShare


def test_every_prompt_comes_once_an_epoch_even_when_batches_cross_its_border():
    sampler = PromptSampler(10, seed=3)
    drawn = [index for _ in range(10) for index in sampler.take(3)]
    for start in (0, 10, 20):
        assert sorted(drawn[start : start + 10]) == list(range(10))
    assert drawn[:10] != drawn[10:20]


def test_a_batch_may_be_larger_than_an_epoch():
    assert sorted(PromptSampler(2, seed=0).take(5)[:4]) == [0, 0, 1, 1]


def test_the_order_follows_from_the_seed_alone():
    # Fixed for good: a resumed run must draw what another process, or another version, would have.
    assert PromptSampler(6, seed=0).take(12) == FIRST_TWO_EPOCHS
    assert PromptSampler(6, seed=1).take(12) != FIRST_TWO_EPOCHS


def test_a_restored_sampler_continues_exactly():
    for consumed in range(25):
        sampler = PromptSampler(7, seed=11)
        sampler.take(consumed)
        state = sampler.state()
        restored = PromptSampler(7, seed=11)
        restored.restore(state)
        assert restored.state() == state
        assert restored.take(20) == sampler.take(20)


def mixture(*weights: float, seed: int = 0) -> PromptSampler:
    """Sources of 3, 4, 5, ... prompts."""
    shares = [SourceShare(f"s{n}", 3 + n, weight) for n, weight in enumerate(weights)]
    return PromptSampler(shares, seed)


def test_a_source_named_alone_is_drawn_from_as_ever():
    assert PromptSampler([SourceShare("sums", 6, 0.3)], seed=0).take(12) == FIRST_TWO_EPOCHS


def test_weights_are_kept_over_steps_up_to_rounding():
    # 3:1 of 10 prompts is 7.5 : 2.5, so that a step has 8 + 2 and the next 7 + 3.
    sampler = mixture(3, 1)
    steps = [sampler.take(10) for _ in range(4)]
    assert [sum(index < 3 for index in step) for step in steps] == [8, 7, 8, 7]


@pytest.mark.parametrize(
    "weights",
    [(1.0, 1.0), (3.0, 1.0), (0.1, 0.2, 0.7), (5.0, 1.0, 1.0, 1.0, 1.0), (1e-3, 1.0, 2.5, 40.0)],
)
def test_every_source_stays_within_one_draw_of_its_share(weights: tuple[float, ...]):
    sampler = mixture(*weights)
    exact = [Fraction(str(weight)) for weight in weights]
    for draws in range(1, 500):
        sampler.take(1)
        for weight, drawn in zip(exact, sampler.state()["drawn"], strict=True):
            assert abs(drawn - draws * weight / sum(exact)) < 1


def test_each_source_is_exhausted_before_a_prompt_is_repeated():
    drawn = mixture(2, 1).take(60)  # 40 of 3 prompts, 20 of 4
    first = [index for index in drawn if index < 3]
    second = [index for index in drawn if index >= 3]
    assert len(first) == 40
    for start in range(0, 39, 3):
        assert sorted(first[start : start + 3]) == [0, 1, 2]
    for start in range(0, 20, 4):
        assert sorted(second[start : start + 4]) == [3, 4, 5, 6]


def test_draws_do_not_depend_on_how_they_are_cut_into_batches():
    whole, cut = mixture(3, 1, 0.5), mixture(3, 1, 0.5)
    assert whole.take(100) == [index for n in (1, 2, 3, 94) for index in cut.take(n)]


def test_a_restored_mixture_continues_exactly():
    for consumed in range(40):
        sampler = mixture(3, 1, 0.7, seed=7)
        sampler.take(consumed)
        state = json.loads(json.dumps(sampler.state()))
        restored = mixture(3, 1, 0.7, seed=7)
        restored.restore(state)
        assert restored.state() == state
        assert restored.take(30) == sampler.take(30)


def test_sources_of_one_size_are_not_shuffled_alike():
    sampler = PromptSampler([SourceShare("a", 20), SourceShare("b", 20)], seed=0)
    drawn = sampler.take(40)
    first = [index for index in drawn if index < 20]
    assert [index - 20 for index in drawn if index >= 20] != first


def test_epochs_of_a_mixture_count_all_prompts_together():
    sampler = mixture(1, 1)
    sampler.take(21)
    assert sampler.epochs == 3  # of 3 + 4 prompts


def test_epochs_count_the_passes_made():
    sampler = PromptSampler(8, seed=0)
    assert sampler.epochs == 0
    sampler.take(12)
    assert sampler.epochs == 1.5


FIRST_TWO_EPOCHS = [3, 1, 4, 0, 5, 2, 1, 2, 3, 4, 5, 0]
