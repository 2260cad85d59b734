"""Weights compared after a sync, and reports of a difference."""

from copy import deepcopy

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from grpo.errors import RunError
from grpo.models.layer_names import by_layer
from grpo.rollout.engines.transformers import TransformersEngine
from grpo.rollout.sampler_gap import large_gap
from grpo.rollout.weight_proof import (
    ALL_EVERY_STEPS,
    SAMPLED_ELEMENTS,
    prove_weights_took,
    weights_to_compare,
)
from tests.unit.tiny_policy import tiny_policy

LAYERS = 12
# Shapes: a layer has a fifth of what a step compares.
LARGE = {
    "model.embed_tokens.weight": torch.Size((10,)),
    **{
        f"model.layers.{layer}.{name}": torch.Size((SAMPLED_ELEMENTS // 10,))
        for layer in range(LAYERS)
        for name in ("self_attn.o_proj.weight", "mlp.experts.3.down_proj.weight")
    },
    "lm_head.weight": torch.Size((10,)),
}


def test_weights_are_grouped_by_their_layers_number():
    groups = by_layer(LARGE)
    assert list(groups) == ["", *(f"model.layers.{layer}" for layer in range(LAYERS))]
    assert groups[""] == ["model.embed_tokens.weight", "lm_head.weight"]
    assert groups["model.layers.11"] == [
        "model.layers.11.self_attn.o_proj.weight",
        "model.layers.11.mlp.experts.3.down_proj.weight",
    ]


def test_a_step_draws_whole_layers_from_its_seed():
    drawn = weights_to_compare(LARGE, seed=1, step=1)
    assert drawn is not None
    assert drawn == weights_to_compare(LARGE, seed=1, step=1)
    assert drawn != weights_to_compare(LARGE, seed=2, step=1)
    assert drawn != weights_to_compare(LARGE, seed=1, step=2)
    groups = by_layer(LARGE)
    assert all(set(groups[layer]) <= set(drawn) for layer in by_layer(drawn))
    assert sum(LARGE[name].numel() for name in drawn) >= SAMPLED_ELEMENTS
    assert len(by_layer(drawn)) <= 6


def test_every_weight_has_its_turn():
    assert weights_to_compare(LARGE, seed=1, step=ALL_EVERY_STEPS) is None
    steps = [weights_to_compare(LARGE, seed=1, step=step) for step in range(1, ALL_EVERY_STEPS)]
    drawn = {name for step in steps if step is not None for name in step}
    assert drawn == set(LARGE)


def test_a_small_model_is_compared_whole_in_each_step():
    small = dict.fromkeys(LARGE, torch.Size((4,)))
    assert all(weights_to_compare(small, seed=1, step=step) is None for step in range(40))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_difference_in_the_engines_dtype_names_the_first_weights(dtype: torch.dtype):
    policy = tiny_policy()
    engine = TransformersEngine(
        deepcopy(policy.model).to(dtype),  # pyright: ignore[reportArgumentType]
        PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel())),
        end_ids=(0,),
        max_batch=1,
    )
    weights = policy.weights()
    prove_weights_took(engine, weights, names=None)
    others = [name for name in weights if name.endswith("_proj.weight")]
    with torch.no_grad():
        for name in others:
            weights[name][1, 1] += 0.5
    engine.load_weights({**weights, others[0]: weights[others[0]] - 1})
    with pytest.raises(RunError, match=rf"policy's: {others[0]}$") as caught:
        prove_weights_took(engine, weights, names=None)
    assert caught.value.code == "weights_not_synced"
    prove_weights_took(engine, weights, names=others[1:])
    engine.load_weights({name: weight - 1 for name, weight in weights.items()})
    with pytest.raises(RunError, match=rf"{others[0]}.* and {len(others) - 5} more$"):
        prove_weights_took(engine, weights, names=others)


@pytest.mark.parametrize(
    ("gap", "entropy", "precision"),
    [
        (1e-5, 1.9, "float32"),
        (0.052, 2.16, "bfloat16"),  # a model of 135 M parameters
        (0.059, 0.11, "bfloat16"),  # the built-in policy
        (float("nan"), 1.0, "bfloat16"),
    ],
)
def test_the_gap_that_rounding_explains_grows_with_the_entropy(
    gap: float, entropy: float, precision: str
):
    said = large_gap(gap, entropy=entropy, precision=precision)  # pyright: ignore[reportArgumentType]
    assert (said is None) == (gap == gap)


def test_a_gap_that_rounding_does_not_explain_is_a_warning_with_both_numbers():
    said = large_gap(0.015, entropy=1.9, precision="float32")
    assert said is not None
    assert "0.0150 nats" in said
    assert "0.0020 at an entropy of 1.90" in said
