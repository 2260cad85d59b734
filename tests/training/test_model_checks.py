"""Mismatches of model, tokenizer and rewards are refused or reported by name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from grpo.data.prompts import load_prompts
from grpo.models.export import export
from grpo.models.locate import open_folder
from grpo.models.lora import add_adapter
from grpo.models.policy import load_model
from grpo.reporting.run_directory import prepare_run_directory
from grpo.rewards.format import FormatReward
from grpo.rewards.reward import Case
from grpo.run import run
from grpo.runtime.stop import Stop
from grpo.spec.data import Data
from grpo.spec.job import JobSpec
from grpo.spec.model import Lora
from tests.training.runs import end_of, make_tiny_model, records, run_here, small_spec, write_sums

pytestmark = pytest.mark.filterwarnings("ignore")
ONE_STEP: dict[str, Any] = {"budget": {"max_steps": 1}, "data": {"eval": None}}
THINKING = (
    "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}{% if enable_thinking is not defined or enable_thinking %}"
    "=<think>\n{% else %}={% endif %}{% endif %}"
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_tiny_model(tmp_path / "model")


@pytest.fixture
def sums(tmp_path: Path) -> Path:
    return write_sums(tmp_path / "sums.jsonl")


def failure(spec: JobSpec, folder: Path) -> dict[str, Any]:
    prepare_run_directory(folder, spec)
    assert run(spec, folder, stop=Stop()) == 1
    return end_of(folder)["error"]


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def change_json(path: Path, **settings: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))


def change_tokenizer(folder: Path, change: Callable[[PreTrainedTokenizerBase], Any]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    change(tokenizer)
    tokenizer.save_pretrained(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("weight", ["model.norm.weight", "model.layers.1.mlp.up_proj.weight"])
def test_a_model_without_finite_logits_is_unusable(
    model: Path, sums: Path, tmp_path: Path, weight: str, value: float
):
    change_weights(model, lambda weights: weights[weight].fill_(value))
    error = failure(small_spec(model, sums, **ONE_STEP), tmp_path / "run")
    assert error["code"] == "model_unusable"
    assert not error["retryable"]


@pytest.mark.parametrize("evaluated", [True, False])
def test_a_model_that_is_nan_for_some_token_is_unusable_once_that_is_drawn(
    model: Path, sums: Path, tmp_path: Path, evaluated: bool
):
    change_weights(model, lambda weights: weights["model.embed_tokens.weight"][5].fill_(torch.nan))
    data = {"eval": str(sums) if evaluated else None}
    error = failure(small_spec(model, sums, **{**ONE_STEP, "data": data}), tmp_path / "run")
    assert (error["code"], error["retryable"]) == ("model_unusable", False)
    assert "NaN" in error["message"]


@pytest.mark.nightly
def test_a_nan_model_is_unusable_under_vllm(model: Path, sums: Path, tmp_path: Path):
    change_weights(model, lambda weights: weights["model.embed_tokens.weight"][5].fill_(torch.nan))
    spec = small_spec(model, sums, **ONE_STEP, rollout={"engine": "vllm"})
    error = failure(spec, tmp_path / "run")
    assert (error["code"], error["retryable"]) == ("model_unusable", False)


def test_a_prompt_with_a_token_beyond_the_embeddings_is_refused_by_name(
    model: Path, sums: Path, tmp_path: Path
):
    change_tokenizer(model, lambda tokenizer: tokenizer.add_tokens(["plus"]))
    spec = small_spec(model, sums, **{**ONE_STEP, "data": {"eval": None, "prompt": "1plus1="}})
    error = failure(spec, tmp_path / "run")
    assert error["code"] == "model_unusable"
    assert "'plus' with id 8" in error["message"]
    assert "7 embeddings" in error["message"]


def test_other_tokens_beyond_the_embeddings_give_a_warning(model: Path, sums: Path, tmp_path: Path):
    change_tokenizer(model, lambda tokenizer: tokenizer.add_tokens(["plus", "minus"]))
    folder = run_here(small_spec(model, sums, **ONE_STEP), tmp_path / "run")
    [told] = [m["payload"]["text"] for m in records(folder, "message")]
    assert "2 tokens beyond the model's 7 embeddings" in told
    assert "'plus' (8), 'minus' (9)" in told


def test_a_model_without_an_end_token_is_refused_unless_there_is_a_stop_string(
    model: Path, sums: Path, tmp_path: Path
):
    change_json(model / "tokenizer_config.json", eos_token=None)
    change_json(model / "generation_config.json", eos_token_id=None)
    error = failure(small_spec(model, sums, **ONE_STEP), tmp_path / "run")
    assert (error["code"], "no end token" in error["message"]) == ("model_unusable", True)
    stopping = small_spec(model, sums, **ONE_STEP, rollout={"stop": ["="]})
    run_here(stopping, tmp_path / "stopping")


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"rewards": [{"type": "format"}]}, "'format' looks for '<think>'"),
        ({"rewards": [{"type": "number", "after": "<think>"}]}, "'number' looks for '<think>'"),
        ({"rollout": {"stop": ["<think>"]}}, "rollout.stop looks for '<think>'"),
    ],
)
def test_a_mark_that_is_a_special_token_is_refused_by_name(
    model: Path, sums: Path, tmp_path: Path, settings: dict[str, Any], name: str
):
    special: Any = {"additional_special_tokens": [AddedToken("<think>", special=True)]}
    change_tokenizer(model, lambda tokenizer: tokenizer.add_special_tokens(special))
    error = failure(small_spec(model, sums, **{**ONE_STEP, **settings}), tmp_path / "run")
    assert error["code"] == "model_unusable"
    assert name in error["message"]


@pytest.mark.parametrize(
    ("asked", "opening"),
    [({}, "<think>"), ({"chat_template_kwargs": {"enable_thinking": False}}, "")],
)
def test_a_tag_that_the_template_has_opened_counts_as_the_completions(
    model: Path, sums: Path, asked: dict[str, Any], opening: str
):
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.add_tokens(["<think>", "\n"])
    tokenizer.chat_template = THINKING
    data = Data.model_validate({"train": str(sums), **asked})
    loaded = load_prompts(data.train_sources, data=data, tokenizer=tokenizer, split="train")
    assert {prompt.opening for prompt in loaded.prompts} == {opening}


def test_format_continues_from_the_opened_tag():
    reward = FormatReward(type="format")
    text = "so</think><answer>1</answer>"

    def score(said: str, opening: str) -> float:
        return reward.score(Case(said, 1, "1", opening=opening))

    assert score(text, "<think>") == 1
    assert score(f"<think>{text}", "<think>") == 0  # opened twice
    assert score(text, "") == score(text, "<answer>") == 0
    assert score(f"<think>{text}", "") == 1


def test_an_opened_tag_gives_a_warning(model: Path, sums: Path, tmp_path: Path):
    prompt = "{{question}}<think>"
    settings = {
        **ONE_STEP,
        "data": {"eval": None, "prompt": prompt},
        "rewards": [{"type": "format"}],
    }
    change_tokenizer(model, lambda tokenizer: tokenizer.add_tokens(["<think>"]))
    change_json(model / "config.json", vocab_size=9)

    def grow(weights: dict[str, torch.Tensor]) -> None:
        embeddings = weights["model.embed_tokens.weight"]
        weights["model.embed_tokens.weight"] = torch.cat([embeddings, embeddings[:2]])

    change_weights(model, grow)
    folder = run_here(small_spec(model, sums, **settings), tmp_path / "run")
    told = [m["payload"]["text"] for m in records(folder, "message")]
    assert any("20 of 20 prompts end with <think>" in text for text in told)


@pytest.mark.parametrize("missing", ["nowhere_proj", "proj", "mlp"])
def test_a_lora_target_that_matches_nothing_is_refused_among_others_that_match(
    model: Path, missing: str
):
    whole = load_model(open_folder(model), device=torch.device("cpu"))
    lora = Lora(targets=["q_proj", missing])
    with pytest.raises(
        Exception, match=f"no linear layer is named '{missing}'; the model has .*k_proj"
    ):
        add_adapter(whole, lora, seed=0)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("saved", ["float32", "source"])
def test_exports_keep_the_sources_dtype_and_checkpoints_have_the_one_that_is_asked_for(
    model: Path, sums: Path, tmp_path: Path, dtype: str, saved: str
):
    kind = getattr(torch, dtype)
    change_weights(
        model, lambda weights: weights.update({k: w.to(kind) for k, w in weights.items()})
    )
    change_json(model / "config.json", dtype=dtype)
    settings = {**ONE_STEP, "checkpoints": {"dtype": saved}}
    folder = run_here(small_spec(model, sums, **settings), tmp_path / "run")
    checkpoint = folder / "checkpoints/step-000001"
    expected = kind if saved == "source" else torch.float32
    of_checkpoint = load_file(checkpoint / "model.safetensors")
    assert {weight.dtype for weight in of_checkpoint.values()} == {expected}
    export(checkpoint, tmp_path / "out")
    exported = load_file(tmp_path / "out/model.safetensors")
    assert {weight.dtype for weight in exported.values()} == {kind}
    assert json.loads((tmp_path / "out/config.json").read_text())["dtype"] == dtype
    assert exported.keys() == of_checkpoint.keys() == load_file(model / "model.safetensors").keys()
    for name, weight in exported.items():
        assert torch.equal(weight, of_checkpoint[name].to(kind))
