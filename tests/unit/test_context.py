"""The length that a model reads: its config's, or the spec's in place of it."""

from pathlib import Path

import pytest
import torch
from transformers import (
    Gemma3Config,
    Gemma3TextConfig,
    GPT2Config,
    LlamaConfig,
    PreTrainedConfig,
    Qwen2Config,
)

from grpo.assembly import check_context
from grpo.errors import RunError
from grpo.models.context import context_of, context_override
from grpo.models.locate import ModelFolder, open_folder
from grpo.models.policy import load_model
from grpo.spec.job import JobSpec
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
    spec = load_spec(EXAMPLES / "paper.yaml")
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
    with pytest.raises(RunError, match="learned embedding for each of 64 positions") as caught:
        context_of(folder, 65)
    assert caught.value.code == "model_unusable"


def test_the_override_is_nested_as_the_config_is():
    assert context_override(Qwen2Config(), 9) == {"max_position_embeddings": 9}
    nested = {"text_config": {"max_position_embeddings": 9}}
    assert context_override(Gemma3Config(), 9) == nested


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
