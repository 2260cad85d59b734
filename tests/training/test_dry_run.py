"""The counted memory of each family of models, compared with the model itself on fake tensors."""

from typing import Any

import pytest
import torch
from torch import nn

from grpo.estimate.architecture import read_architecture
from grpo.estimate.dry_run import DryRun, Rows, dry_run
from grpo.estimate.families import FAMILIES
from grpo.estimate.live_bytes import LiveBytes
from grpo.estimate.memory import MemoryEstimate, estimate_memory
from grpo.spec.resolve import resolve
from tests.training import test_architectures as matrix

ROWS = Rows(num=4, prompt_tokens=512, completion_tokens=1536)
BUFFERS = 4096
"""Bytes of buffers, such as rotary frequencies: fewer than these."""
SIZES: dict[str, Any] = {
    "vocab_size": 16000,
    "hidden_size": 1024,
    "intermediate_size": 2816,
    "num_hidden_layers": 2,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "head_dim": 64,
    "max_position_embeddings": 4096,
    "pad_token_id": None,
    "bos_token_id": None,
    "eos_token_id": None,
}
LORA = {"rank": 16}
MODES: dict[str, dict[str, Any]] = {
    "float32": {"dtype": "float32"},
    "bfloat16": {"dtype": "bfloat16"},
    "checkpointing": {"dtype": "bfloat16", "gradient_checkpointing": True},
    "adapter": {"dtype": "bfloat16", "lora": LORA},
    "adapter, checkpointing": {"dtype": "bfloat16", "lora": LORA, "gradient_checkpointing": True},
    "adapter, float32": {"dtype": "float32", "lora": LORA},
}


def both(family: str, model: dict[str, Any]) -> tuple[MemoryEstimate, DryRun]:
    """Return the estimate and the measurement of one update of several micro-batches."""
    config = {**SIZES, "model_type": family, "tie_word_embeddings": family not in matrix.UNTIED}
    spec = resolve(
        {
            "preset": None,
            "model": model,
            "data": {"max_prompt_tokens": ROWS.prompt_tokens},
            "rollout": {"max_tokens": ROWS.completion_tokens},
            "algorithm": {"prompts_per_step": 8, "group_size": 2},
        }
    )
    tokens = ROWS.num * (ROWS.prompt_tokens + ROWS.completion_tokens)
    estimate = estimate_memory(spec, config, device="cuda", token_budget=tokens, engine="vllm")
    assert estimate.accumulates
    return estimate, dry_run(config, spec.model, ROWS, precision=model["dtype"])


def check(family: str, mode: str) -> None:
    estimate, measured = both(family, MODES[mode])
    assert estimate.gradients == measured.gradients
    assert 0 <= measured.weights - estimate.weights < BUFFERS
    counted = estimate.trainer_peak - estimate.kept
    assert counted == pytest.approx(measured.next_peak, rel=0.05)


@pytest.mark.parametrize("mode", ["checkpointing", "adapter"])
def test_memory_is_counted_to_five_percent(mode: str):
    check("qwen2", mode)


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("family", matrix.FAMILIES)
def test_memory_of_each_family_is_counted_to_five_percent(family: str, mode: str):
    check(family, mode)


def test_each_family_that_is_trained_is_counted():
    assert set(FAMILIES) == set(matrix.FAMILIES)


def test_a_window_is_a_mask_and_rows_within_it_have_none():
    peaks = []
    for window in (None, ROWS.prompt_tokens + ROWS.completion_tokens, 1024):
        config = {**SIZES, "model_type": "mistral", "num_hidden_layers": 1}
        settings = resolve({"model": {"dtype": "bfloat16"}}).model
        rows = dry_run({**config, "sliding_window": window}, settings, ROWS, precision="bfloat16")
        peaks.append(rows.first_peak)
    length = ROWS.prompt_tokens + ROWS.completion_tokens
    assert peaks[0] == peaks[1]
    assert peaks[2] - peaks[0] >= ROWS.num * length * length  # a byte for each pair of positions


def test_a_storage_counts_once_until_its_last_tensor_is_gone():
    with LiveBytes() as live:
        whole = torch.ones(100)
        part = whole[:10].add_(1)
        assert (live.now, live.peak) == (400, 400)
        doubled = whole * 2
        del whole
        assert (live.now, live.peak) == (800, 800)
        del part
        assert (live.now, live.peak) == (400, 800)
        live.restart_peak()
        assert (live.now, live.peak) == (400, 400)
        del doubled
    assert live.now == 0


def test_what_autograd_keeps_is_alive_until_the_backward_pass():
    with LiveBytes() as live:
        layer = nn.Linear(8, 8, bias=False)
        assert live.now == 4 * 8 * 8
        output = layer(torch.ones(4, 8)).sigmoid().sum()
        assert live.now == 4 * (8 * 8 + 4 * 8 + 4 * 8 + 1)  # the input, the sigmoid and their sum
        output.backward()
        assert live.now == 4 * (2 * 8 * 8 + 1)  # the weight's gradient


def test_a_config_that_leaves_its_activation_out_has_its_familys():
    assert read_architecture({**SIZES, "model_type": "phi"}).activation == "gelu_new"
