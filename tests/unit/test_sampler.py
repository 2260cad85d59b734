from grpo.data.sampler import PromptSampler


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


def test_a_restored_sampler_goes_on_exactly():
    for consumed in range(25):
        sampler = PromptSampler(7, seed=11)
        sampler.take(consumed)
        state = sampler.state()
        restored = PromptSampler(7, seed=11)
        restored.restore(state)
        assert restored.state() == state
        assert restored.take(20) == sampler.take(20)


def test_epochs_count_the_passes_made():
    sampler = PromptSampler(8, seed=0)
    assert sampler.epochs == 0
    sampler.take(12)
    assert sampler.epochs == 1.5


FIRST_TWO_EPOCHS = [3, 1, 4, 0, 5, 2, 1, 2, 3, 4, 5, 0]
