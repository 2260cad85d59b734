"""docs/memory.md is what the estimate says today, and the estimate what dry runs measured."""

import json

import pytest

from bench.memory.models import MODELS
from bench.memory.page import CARDS, DRY_MODES, MEASURED, MODES, PAGE, count, measure, page, spec_of
from grpo.estimate.fit import fit

DRY_RUNS = json.loads(MEASURED.read_text())


def test_the_page_is_generated_from_the_estimate():
    assert PAGE.read_text() == page(DRY_RUNS), "run python -m bench.memory.page"


@pytest.mark.parametrize("mode", DRY_MODES)
@pytest.mark.parametrize("name", DRY_RUNS)
def test_models_of_real_size_are_counted_to_ten_percent(name: str, mode: str):
    assert count(name, mode) == pytest.approx(DRY_RUNS[name][mode], rel=0.1)


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", DRY_MODES)
def test_a_dry_run_today_measures_what_is_stored(mode: str):
    name = "Qwen2.5-1.5B"
    assert measure(name, mode) == pytest.approx(DRY_RUNS[name][mode], rel=0.01)


@pytest.mark.parametrize(
    ("name", "card", "modes"),
    [
        ("Qwen2.5-1.5B", "24 GB", {"all weights, `adamw_8bit`", "all weights, `offload`"}),
        ("Qwen2.5-7B", "24 GB", {"LoRA, 4-bit base"}),
        ("Qwen2.5-7B", "80 GB", {"all weights, `offload`", "LoRA", "LoRA, 4-bit base"}),
    ],
)
def test_a_card_holds_the_modes_that_are_made_for_it(name: str, card: str, modes: set[str]):
    fits = {
        mode: fit(spec_of(mode), MODELS[name], CARDS[card] << 20).fits_at_another_fraction
        for mode in MODES
    }
    assert modes <= {mode for mode, it_fits in fits.items() if it_fits}
    assert not fits["all weights, `adamw`"]
