"""Estimated memory of a run, counted by hand for small models."""

import subprocess
import sys
from typing import Any

import pytest

from grpo.estimate.activations import Training, saved_bytes
from grpo.estimate.architecture import read_architecture
from grpo.estimate.memory import GIB, MIB, MemoryEstimate, estimate_memory
from grpo.spec.model import Lora
from grpo.spec.resolve import resolve

# The built-in policy's.
CONFIG = {
    "model_type": "qwen2",
    "vocab_size": 258,
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
}
# 258 x 256 embedded; a layer's q 256 x 256 + 256, k and v 256 x 128 + 128 each, o 256 x 256, three
# of 256 x 512, two norms of 256; the last norm of 256.
LAYER = 65_792 + 2 * 32_896 + 65_536 + 3 * 131_072 + 512
PARAMETERS = 66_048 + 4 * LAYER + 256


def estimate(
    *, config: dict[str, Any] = CONFIG, device: Any = "cpu", engine: Any = "vllm", **written: Any
) -> MemoryEstimate:
    spec = resolve({"preset": None, **written})
    return estimate_memory(spec, config, device=device, token_budget=3072, engine=engine)


def test_weights_gradients_and_moments_are_four_bytes_a_number():
    parts = estimate()
    assert parts.weights == parts.gradients == 4 * PARAMETERS
    assert parts.optimizer == 8 * PARAMETERS
    assert parts.reference == 0
    assert parts.engine == 4 * PARAMETERS + 1 * GIB


def test_an_adapter_trains_its_own_weights_alone_and_needs_no_second_model_as_reference():
    kl = {"kl": {"beta": 0.1}}
    parts = estimate(model={"lora": {"rank": 8, "targets": ["q_proj", "v_proj"]}}, algorithm=kl)
    adapter = 4 * 8 * ((256 + 256) + (256 + 128))  # A and B of q and of v in four layers
    assert parts.gradients == 4 * adapter
    assert parts.optimizer == 8 * adapter
    assert parts.weights == 4 * (PARAMETERS + adapter)
    assert parts.reference == 0
    assert estimate(algorithm=kl).reference == 4 * PARAMETERS


def test_frozen_weights_take_two_bytes_in_bfloat16_and_trained_ones_four():
    lora = {"rank": 8, "targets": ["q_proj", "v_proj"]}
    parts = estimate(model={"lora": lora, "dtype": "bfloat16"})
    adapter = 4 * 8 * ((256 + 256) + (256 + 128))
    assert parts.weights == 2 * PARAMETERS + 4 * adapter
    assert parts.gradients == 4 * adapter
    assert estimate(model={"dtype": "bfloat16"}).weights == 4 * PARAMETERS


def test_moments_in_8_bits_leave_the_embeddings_in_32():
    parts = estimate(device="cuda", optimizer={"name": "adamw_8bit"})
    in_8_bits = PARAMETERS - 66_048
    scales = 2 * in_8_bits / 256
    assert parts.optimizer == int(2 * in_8_bits + 4 * scales) + 8 * 66_048


@pytest.mark.parametrize(
    ("written", "layer", "end"),
    [
        # Two norms keep two numbers of 256 and one scale each, and what comes out of them; q and
        # attention's output 256 each, k and v 128 each, a normaliser a head; 4 of 512 in the MLP.
        ({}, 4 * (2 * (2 * 256 + 1) + 2 * 256 + 2 * 256 + 2 * 128 + 4 + 4 * 512), 4 * 3 * 256),
        # The layer's input alone.
        ({"checkpointing": True}, 4 * 256, 4 * 3 * 256),
        # Frozen norms keep their input; nothing is kept for o, gate, up and down, whose weights
        # are frozen: of the MLP the gate, its activation and up; a rank of 8 twice.
        (
            {"lora": Lora(rank=8, targets=["q_proj", "v_proj"])},
            4 * (2 * (256 + 1) + 256 + 2 * 256 + 2 * 128 + 4 + 3 * 512 + 2 * 8),
            4 * 2 * 256,
        ),
    ],
)
def test_activations_kept_per_token_are_counted_tensor_by_tensor(
    written: dict[str, Any], layer: int, end: int
):
    settings = {"lora": None, "checkpointing": False, **written}
    training = Training(read_architecture(CONFIG), bytes_a_number=4, **settings)
    assert saved_bytes(training, 10) == 10 * (4 * layer + end)


def test_a_row_longer_than_the_token_budget_is_a_micro_batch_of_its_own():
    short, long = (
        estimate(data={"max_prompt_tokens": 1000}, rollout={"max_tokens": tokens})
        for tokens in (2072, 5144)
    )
    assert long.activations == 2 * short.activations


def test_logits_of_a_large_vocabulary_are_held_a_chunk_at_a_time():
    large = estimate(config={**CONFIG, "vocab_size": 2**17})
    # 2**26 logits at once, five times in float32, and the gradient of the chunks before.
    assert large.logits == 5 * 256 * MIB + 4 * 2**17 * 256


def test_gradients_add_to_activations_only_with_several_micro_batches():
    rows = {"data": {"max_prompt_tokens": 16}, "rollout": {"max_tokens": 32}}
    one = estimate(**rows, algorithm={"prompts_per_step": 32})  # 64 rows of 48 are 3,072 tokens
    two = estimate(**rows, algorithm={"prompts_per_step": 64})
    assert (one.accumulates, two.accumulates) == (False, True)
    assert two.trainer_peak - two.slack == one.trainer_peak - one.slack + one.gradients


def test_a_cache_that_grows_is_counted_at_its_longest():
    parts = estimate(
        engine="transformers",
        algorithm={"prompts_per_step": 8},
        data={"max_prompt_tokens": 16},
        rollout={"max_tokens": 48},
        evaluation={"max_tokens": 112},
    )
    # 16 rows of 128 tokens: keys and values of 128 numbers each in four layers, one layer of them
    # twice and repeated for all heads; then a draw from 258 tokens, of 24 bytes each.
    cache, layer, draw = 4 * 2 * 128 * 4, 2 * 128 * 4 + 2 * 256 * 4, 258 * 24
    assert parts.rollout == 16 * 128 * (cache + layer) + 16 * draw
    assert parts.total == parts.runtime + parts.engine + parts.rollout + parts.trainer_peak


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({**CONFIG, "num_experts": 8}, "mixture of experts"),
        ({"model_type": "qwen2"}, "has no hidden_size"),
    ],
)
def test_a_config_that_cannot_be_estimated_is_refused_with_a_message(
    config: dict[str, Any], says: str
):
    with pytest.raises(ValueError, match=says):
        estimate(config=config)


def test_estimating_needs_no_torch():
    program = (
        "import sys, grpo.estimate.memory;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'numpy', 'vllm')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
