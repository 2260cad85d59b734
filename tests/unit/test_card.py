"""A GPU holds what the trainer keeps beside what the engine maps, or the job is refused."""

import sys

import pytest
import torch
from torch import nn

from grpo.errors import RunError
from grpo.estimate.memory import estimate_memory
from grpo.learning.room import kept_bytes, require_room, shares_the_gpu
from grpo.runtime.card import engine_misfit
from grpo.spec.resolve import resolve
from tests.unit.tiny_policy import tiny_policy

GIB = 2**30


@pytest.mark.parametrize(
    ("kept", "card", "fraction", "advice"),
    [
        # 7B, all weights: 30.5 + 60.9 GB of float32 weights and moments.
        (91.4, 140, 0.4, "to at most 0.34"),
        (91.4, 140, 0.34, None),
        (91.4, 80, 0.4, "model.lora"),
        (18.5, 80, 0.4, None),  # 1.5B
        (18.5, 24, 0.4, "to at most 0.22"),
        (48, 80, 0.4, None),  # exactly full
        (23.9, 24, 0.4, "model.lora"),
    ],
)
def test_kept_bytes_and_the_engines_share_are_at_most_the_card(
    kept: float, card: float, fraction: float, advice: str | None
):
    found = engine_misfit(kept_bytes=int(kept * GIB), card_bytes=int(card * GIB), fraction=fraction)
    assert (found is None) is (advice is None)
    if found is not None and advice is not None:
        assert advice in found.advice
        assert f"keeps {kept:.1f} GiB" in found.reason
        assert f"the GPU has {card:.1f} GiB" in found.reason


def test_the_advised_fraction_fits():
    for kept in range(1, 100):
        found = engine_misfit(kept_bytes=kept * GIB, card_bytes=100 * GIB, fraction=0.99)
        if found is not None and "at most" in found.advice:
            advised = float(found.advice.rpartition(" ")[2])
            again = engine_misfit(kept_bytes=kept * GIB, card_bytes=100 * GIB, fraction=advised)
            assert again is None


@pytest.mark.parametrize("optimizer", ["adamw", "adamw_fused", "adamw_8bit"])
def test_what_is_kept_is_counted_from_the_model_itself(optimizer: str):
    model = tiny_policy().model
    spec = resolve({"optimizer": {"name": optimizer}})
    weights = sum(weight.numel() for weight in model.parameters())  # the tied head once
    buffers = sum(buffer.nbytes for buffer in model.buffers())
    kept = kept_bytes(spec, model, None)
    config = model.config.to_dict()
    estimate = estimate_memory(spec, config, device="cuda", token_budget=3072, engine="vllm")
    assert estimate.optimizer == (8 * weights if optimizer != "adamw_8bit" else estimate.optimizer)
    assert estimate.optimizer <= 8 * weights
    assert kept == 4 * weights + estimate.optimizer + buffers == estimate.kept + buffers
    assert kept_bytes(spec, model, model) == kept  # a reference under an adapter is the model
    for weight in model.parameters():
        weight.requires_grad_(False)
    assert kept_bytes(spec, model, None) == 4 * weights + buffers
    moments = 8 * 72 if optimizer != "adamw_8bit" else 2 * 72 + 2
    assert kept_bytes(spec, nn.Linear(8, 8).to(torch.bfloat16), None) == 2 * 72 + moments


def test_an_engine_shares_the_gpu_only_where_it_is_vllm(monkeypatch: pytest.MonkeyPatch):
    engines = [resolve({"rollout": {"engine": name}}) for name in ("auto", "vllm", "transformers")]
    assert [shares_the_gpu(spec) for spec in engines] == [True, True, False]
    monkeypatch.setitem(sys.modules, "vllm", None)  # as where it is not installed
    auto, vllm, _ = engines
    assert not shares_the_gpu(auto)
    with pytest.raises(RunError, match="vLLM is not installed"):
        shares_the_gpu(vllm)


def test_a_run_that_could_not_wake_its_engine_ends_before_it_starts_it():
    spec = resolve({"rollout": {"gpu_memory_fraction": 0.5}})
    require_room(spec, 50, 100)
    with pytest.raises(RunError, match="together") as caught:
        require_room(spec, 51 * GIB, 100 * GIB)
    assert caught.value.code == "out_of_memory"
    assert caught.value.hint == "Lower rollout.gpu_memory_fraction to at most 0.49."
