"""The policy's forward pass: recomputed activations, and completions without a token."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import Qwen2Config, Qwen2ForCausalLM
from transformers.models.qwen2.modeling_qwen2 import Qwen2MLP

from grpo.errors import RunError
from grpo.estimate.live_bytes import LiveBytes
from grpo.models.gradient_checkpointing import recompute_activations
from grpo.models.policy import Policy
from grpo.models.token_batch import token_batch
from tests.unit.tiny_policy import tiny_policy

DROPOUT = 0.5  # would show as soon as anything were in training mode
ROWS = [((5, 6, 7), (8, 9, 10, 11)), ((1,), (2, 3)), ((4,) * 9, (40,))]


def gradients(policy: Policy) -> dict[str, Tensor]:
    batch = token_batch(ROWS, device=policy.device)
    logprobs, _ = policy.logprobs(batch, temperature=0.7)
    logprobs.square().sum().backward()
    return {
        name: weight.grad
        for name, weight in policy.model.named_parameters()
        if weight.grad is not None
    }


@contextmanager
def counted_calls(policy: Policy) -> Iterator[list[str]]:
    """Feed-forward blocks computed, one entry per call."""
    calls: list[str] = []
    hooks = [
        module.register_forward_pre_hook(lambda *_, name=name: calls.append(name))
        for name, module in policy.model.named_modules()
        if isinstance(module, Qwen2MLP)
    ]
    yield calls
    for hook in hooks:
        hook.remove()


def test_recomputed_activations_give_the_same_gradients_bit_for_bit():
    kept, recomputed = tiny_policy(dropout=DROPOUT), tiny_policy(dropout=DROPOUT)
    recompute_activations(recomputed.model)
    expected, found = gradients(kept), gradients(recomputed)
    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        assert torch.equal(found[name], gradient), name
    assert max(gradient.abs().max() for gradient in expected.values()) > 0.1


def test_in_bfloat16_no_layer_but_the_one_at_work_has_a_copy_of_its_weights():
    kept, recomputed = tiny_policy(precision="bfloat16"), tiny_policy(precision="bfloat16")
    recompute_activations(recomputed.model)
    expected, found = gradients(kept), gradients(recomputed)
    assert all(torch.equal(found[name], gradient) for name, gradient in expected.items())
    live = {}
    for policy in (kept, recomputed):
        batch = token_batch([((1,), (2,))], device=policy.device)
        with LiveBytes() as counted, policy._computing():
            policy.model.base_model(input_ids=batch.input_ids, use_cache=False)
            live[policy] = counted.peak
    layers: Any = kept.model.base_model.layers
    layer = sum(weight.numel() for weight in layers[0].parameters())
    assert live[kept] - live[recomputed] > layer  # two layers' copies of two bytes, but for one


def test_every_layer_is_computed_again_in_the_backward_pass_and_only_there():
    policy = tiny_policy(dropout=DROPOUT)
    with counted_calls(policy) as calls:
        gradients(policy)
    assert len(calls) == 2  # one a layer
    recompute_activations(policy.model)
    with counted_calls(policy) as calls:
        gradients(policy)
    assert len(calls) == 4  # forward, and again on the way back
    with counted_calls(policy) as calls, torch.no_grad():
        policy.logprobs(token_batch(ROWS, device=policy.device), temperature=1.0)
    assert len(calls) == 2


def test_recomputing_switches_no_dropout_on():
    policy = tiny_policy(dropout=0.9)
    recompute_activations(policy.model)
    batch = token_batch(ROWS, device=policy.device)
    first, _ = policy.logprobs(batch, temperature=1.0)
    second, _ = policy.logprobs(batch, temperature=1.0)
    assert torch.equal(first, second)
    assert not any(module.training for module in policy.model.modules())


def test_recomputing_changes_no_name_of_a_weight():
    names = list(tiny_policy(dropout=DROPOUT).weights())
    policy = tiny_policy(dropout=DROPOUT)
    recompute_activations(policy.model)
    assert list(policy.weights()) == names


def test_an_architecture_without_layers_to_recompute_is_refused():
    embeddings_only = Qwen2ForCausalLM(
        Qwen2Config(vocab_size=8, hidden_size=8, num_attention_heads=1, num_hidden_layers=0)
    )
    with pytest.raises(RunError, match="no layers to checkpoint"):
        recompute_activations(embeddings_only)


def test_a_completion_without_a_token_is_a_row_of_length_0():
    policy = tiny_policy(dropout=DROPOUT)
    whole, _ = policy.logprobs(token_batch(ROWS, device=policy.device), temperature=1.0)
    rows = [ROWS[0], ((3, 4), ()), *ROWS[1:]]
    batch = token_batch(rows, device=policy.device)
    logprobs, entropies = policy.logprobs(batch, temperature=1.0)
    assert batch.lengths.tolist() == [4, 0, 2, 1]
    assert len(entropies) == 7
    torch.testing.assert_close(logprobs, whole, rtol=1e-5, atol=1e-6)
    assert [len(part) for part in logprobs.split(batch.lengths.tolist())] == [4, 0, 2, 1]
