"""Attention gets no mask and shared keys, or a GPU falls back from its flash kernels."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.nn import functional
from transformers import AutoConfig, AutoModelForCausalLM

from grpo.models.policy import Policy
from grpo.models.token_batch import token_batch

SIZES: dict[str, Any] = {
    "vocab_size": 32,
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
}
# Of different lengths, so that the shorter rows are padded.
BATCH = token_batch(
    [([1, 2], [3, 4, 5]), ([1], [2]), ([7] * 4, [8] * 6)], device=torch.device("cpu")
)


@contextmanager
def calls_of_sdpa(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """Note the arguments of each call, which is made all the same."""
    calls: list[dict[str, Any]] = []
    real = functional.scaled_dot_product_attention

    def noting(query: Any, key: Any, value: Any, **given: Any) -> Any:
        calls.append({**given, "heads": (query.shape[1], key.shape[1])})
        return real(query, key, value, **given)

    with monkeypatch.context() as patched:
        patched.setattr(functional, "scaled_dot_product_attention", noting)
        yield calls


def forward(kind: str, **config: Any) -> None:
    made = AutoConfig.for_model(kind, **SIZES, **config)
    model = AutoModelForCausalLM.from_config(made, attn_implementation="sdpa").eval()
    Policy(model, precision="float32").logprobs(BATCH, temperature=1.0)


@pytest.mark.parametrize("kind", ["qwen2", "qwen3", "llama", "granite"])
def test_attention_has_no_mask_and_shares_keys_among_heads(
    kind: str, monkeypatch: pytest.MonkeyPatch
):
    with calls_of_sdpa(monkeypatch) as calls:
        forward(kind)
    assert len(calls) == SIZES["num_hidden_layers"]
    for call in calls:
        assert call["attn_mask"] is None
        assert call["is_causal"] is True
        assert call["enable_gqa"] is True
        assert call["heads"] == (4, 2)  # keys are not repeated


def test_a_sliding_window_is_a_mask(monkeypatch: pytest.MonkeyPatch):
    """A row in docs/gpu.md: such models have no flash kernel on a GPU."""
    with calls_of_sdpa(monkeypatch) as calls:
        forward("mistral", sliding_window=4)
    assert all(call["attn_mask"] is not None for call in calls)
