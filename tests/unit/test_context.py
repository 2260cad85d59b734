"""The length that a model reads: its config's, or the spec's in place of it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma3Config,
    Gemma3TextConfig,
    GPT2Config,
    LlamaConfig,
    Phi3Config,
    PreTrainedConfig,
    Qwen2Config,
)

from grpo.assembly import check_context
from grpo.errors import RunError
from grpo.models.context import context_of, context_override
from grpo.models.locate import ModelFolder, open_folder
from grpo.models.policy import load_model
from grpo.models.rope import depends_on_context
from grpo.rollout.engines.vllm import overrides_of
from grpo.spec.job import JobSpec
from grpo.spec.model import MAX_CONTEXT
from grpo.spec.resolve import SpecError, load_spec, resolve
from tests.training.runs import make_tiny_model

EXAMPLES = Path(__file__).parents[2] / "examples"
LONG_ROPE = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}


def saved(config: PreTrainedConfig, folder: Path) -> ModelFolder:
    config.save_pretrained(folder)
    return open_folder(folder)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_is_a_valid_spec(path: Path):
    load_spec(path)


def test_the_papers_own_run_fits_the_models_context(tmp_path: Path):
    spec = load_spec(EXAMPLES / "paper/qwen2.5-math-1.5b-2-grpo.yaml")
    assert (spec.data.max_prompt_tokens, spec.longest_completion) == (512, 4096)
    config = Qwen2Config(max_position_embeddings=4096)  # Qwen2.5-Math-1.5B's
    folder = saved(config, tmp_path)
    check_context(spec, context_of(folder, spec.model.context_tokens))
    with pytest.raises(RunError, match="need a context of 4608; the model's is 4096") as caught:
        check_context(spec, context_of(folder, None))
    assert "model.context_tokens to 4608" in caught.value.hint


@pytest.mark.parametrize(
    "config",
    [
        Qwen2Config(max_position_embeddings=64),
        LlamaConfig(max_position_embeddings=64, rope_parameters=LONG_ROPE),
        Gemma3TextConfig(max_position_embeddings=64),
    ],
    ids=lambda config: config.model_type,
)
def test_rotary_positions_go_beyond_the_configs_length(config: PreTrainedConfig, tmp_path: Path):
    folder = saved(config, tmp_path)
    assert [context_of(folder, tokens) for tokens in (None, 32, 64, 100)] == [64, 32, 64, 100]


def test_learned_positions_do_not(tmp_path: Path):
    folder = saved(GPT2Config(n_positions=64), tmp_path)
    assert context_of(folder, 64) == 64
    with pytest.raises(RunError, match="learned embeddings for 64 positions only") as caught:
        context_of(folder, 65)
    assert caught.value.code == "model_unusable"


def test_the_override_is_nested_as_the_config_is():
    longer = 2**20
    assert context_override(Qwen2Config(), longer) == {"max_position_embeddings": longer}
    nested = {"text_config": {"max_position_embeddings": longer}}
    assert context_override(Gemma3Config(), longer) == nested


@pytest.mark.parametrize("config", [Qwen2Config(), Gemma3Config()])
def test_a_context_that_the_config_has_anyway_changes_nothing(config: PreTrainedConfig):
    own = config.get_text_config().max_position_embeddings
    assert context_override(config, own) == context_override(config, 9) == {}


def test_a_shorter_context_leaves_the_models_numbers_as_they_are(tmp_path: Path):
    """Phi-3 scales its rotations by the config's context over the original one."""
    rope = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [2.0] * 4}
    config = Phi3Config(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
        original_max_position_embeddings=16,
        rope_parameters=rope,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    folder, ids = open_folder(tmp_path), torch.arange(12)[None]
    plain, limited = (
        load_model(folder, device=torch.device("cpu"), context_tokens=tokens)
        for tokens in (None, 32)
    )
    with torch.no_grad():
        assert torch.equal(plain(ids).logits, limited(ids).logits)
    assert limited.config.max_position_embeddings == 64
    assert context_of(folder, 32) == 32
    with pytest.raises(RunError, match=r"rope_type longrope\) are computed from its config's"):
        context_of(folder, 65)


BY_LAYER = {
    "full_attention": {"rope_type": "yarn", "original_max_position_embeddings": 32},
    "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
}


@pytest.mark.parametrize(
    ("rope", "rope_type"),
    [
        ({"rope_type": "dynamic", "factor": 2.0}, "dynamic"),
        ({"type": "dynamic", "factor": 2.0}, "dynamic"),
        ({"rope_type": "longrope", "factor": 2.0}, "longrope"),
        ({"type": "su"}, "su"),
        ({"rope_type": "yarn"}, "yarn"),
        ({"rope_type": "yarn", "factor": None}, "yarn"),
        (BY_LAYER, "yarn"),
        ({"rope_type": "yarn", "factor": 4.0}, None),
        ({"rope_type": "llama3", "factor": 4.0}, None),
        ({"rope_theta": 10000.0}, None),
        ({"full_attention": None, "rope_type": 7}, None),
        ({"rope_type": ["dynamic"]}, None),
        (None, None),
        ([], None),
    ],
)
def test_rotations_that_follow_from_the_context_are_known(rope: object, rope_type: str | None):
    assert depends_on_context(rope) == rope_type


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_type": "dynamic", "factor": 2.0},
        {"rope_type": "yarn", "factor": None, "original_max_position_embeddings": 32},
    ],
)
def test_a_larger_context_is_refused_where_the_rotations_follow_from_it(
    rope: dict[str, Any], tmp_path: Path
):
    config = {"model_type": "llama", "max_position_embeddings": 64, "rope_parameters": rope}
    (tmp_path / "config.json").write_text(json.dumps(config))
    folder = open_folder(tmp_path)
    assert context_of(folder, 64) == 64
    with pytest.raises(RunError, match=f"rope_type {rope['rope_type']}") as caught:
        context_of(folder, 65)
    assert caught.value.code == "model_unusable"


def test_a_model_is_loaded_and_saved_with_its_context(tmp_path: Path):
    folder = open_folder(make_tiny_model(tmp_path / "model"))
    plain, longer = (
        load_model(folder, device=torch.device("cpu"), context_tokens=tokens)
        for tokens in (None, 100)
    )
    assert plain.config.max_position_embeddings == 64
    longer.save_pretrained(tmp_path / "saved")
    assert context_of(open_folder(tmp_path / "saved"), None) == 100
    for name, weight in plain.state_dict().items():
        assert torch.equal(weight, longer.state_dict()[name])


def spec_with(context_tokens: int, **rollout: int) -> JobSpec:
    model = {"context_tokens": context_tokens}
    return resolve({"model": model, "data": {"max_prompt_tokens": 8}, "rollout": rollout})


def test_a_context_that_is_too_short_for_the_spec_itself_is_refused():
    assert spec_with(16, max_tokens=8).model.context_tokens == 16
    with pytest.raises(SpecError, match=r"model.context_tokens is 15, less than .* 16"):
        spec_with(15, max_tokens=8)


@pytest.mark.parametrize(
    ("context_tokens", "longest", "given"),
    [
        (None, 16, None),
        (32, 16, None),
        (64, 64, None),
        (100, 90, 90),
        (100, 100, 100),
        (2**22, 90, 90),
        (2**22, 9, None),
    ],
)
def test_vllm_computes_positions_no_longer_than_a_sequence(
    context_tokens: int | None, longest: int, given: int | None, tmp_path: Path
):
    folder = saved(Qwen2Config(max_position_embeddings=64), tmp_path)
    expected = {} if given is None else {"max_position_embeddings": given}
    assert overrides_of(folder.path, context_tokens, longest) == expected


def test_a_context_beyond_any_models_is_refused():
    assert spec_with(MAX_CONTEXT).model.context_tokens == MAX_CONTEXT
    for tokens in (MAX_CONTEXT + 1, 2**31 - 1):
        with pytest.raises(SpecError, match="at most 4,194,304"):
            spec_with(tokens)
