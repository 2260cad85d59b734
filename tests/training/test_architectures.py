"""Families of models: each trains two steps beside vLLM, whose weights are proved after each sync.

`docs/models.md` lists them.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tests.training.runs import (
    CHARACTERS,
    end_of,
    finish_run,
    make_tiny_model,
    records,
    small_spec,
    start_run,
    write_sums,
)
from tests.waiting import deadline

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
SIZES: dict[str, Any] = {
    "vocab_size": len(CHARACTERS) + 1,
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "max_position_embeddings": 64,
    "bos_token_id": None,
    "pad_token_id": None,
    "eos_token_id": len(CHARACTERS),
}
WINDOW: dict[str, Any] = {"sliding_window": 16}
FAMILIES: dict[str, dict[str, Any]] = {
    "qwen2": {},
    "qwen3": {},
    "llama": {},
    "mistral": WINDOW,
    "phi3": {},
    "gemma3_text": WINDOW,
    "granite": {},
    "glm4": {},
    "olmo2": {},
    "smollm3": {},
    "starcoder2": {},
    "gpt_neox": {},
    "phi": {},
}
UNTIED = {"llama", "olmo2", "gpt_neox", "phi3", "phi"}
"""Families whose models have a head of their own; the others share it with the embeddings."""
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "gemma2": ({}, "gemma2 models transform their logits after the head"),
    "cohere": ({}, "cohere models transform their logits after the head"),
    "granite": ({"logits_scaling": 8.0}, "granite models transform their logits after the head"),
    "qwen3_moe": ({"num_experts": 4}, "qwen3_moe is a mixture of 4 experts"),
    "mixtral": ({}, "mixtral is a mixture of 8 experts"),
}
"""Families that are refused, with the settings of real ones that matter, and the reason."""


def make_model(folder: Path, family: str, settings: Mapping[str, Any]) -> Path:
    """Write a random model of the family, with the tiny model's tokenizer."""
    make_tiny_model(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    torch.manual_seed(0)
    sizes = {**SIZES, **settings, "tie_word_embeddings": family not in UNTIED}
    AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **sizes)).save_pretrained(folder)
    return folder


@pytest.mark.nightly
@pytest.mark.timeout(400)  # the first start of vLLM on a machine is slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("lora", [None, {"rank": 4}], ids=["full", "lora"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_trains_and_its_weights_arrive(
    tmp_path: Path, family: str, lora: dict[str, int] | None
):
    spec = small_spec(
        make_model(tmp_path / "model", family, FAMILIES[family]),
        write_sums(tmp_path / "sums.jsonl"),
        model={"lora": lora},
        data={"eval": None},
        rollout={"engine": "vllm"},
        budget={"max_steps": 2},
    )
    run = finish_run(spec, tmp_path / "run")
    metrics = [record["payload"] for record in records(run, "metric")]
    assert len(metrics) == 2  # each sync was proved, or the run would have ended


@pytest.mark.nightly
@pytest.mark.parametrize("family", REFUSED)
def test_a_family_is_refused_before_it_trains(tmp_path: Path, family: str):
    settings, reason = REFUSED[family]
    model = make_model(tmp_path / "model", family, settings)
    spec = small_spec(model, write_sums(tmp_path / "sums.jsonl"))
    assert start_run(spec, tmp_path / "run").wait(timeout=deadline(60)) == 1
    assert records(tmp_path / "run", "metric") == []
    error = end_of(tmp_path / "run")["error"]
    assert (error["code"], reason in error["message"]) == ("model_unusable", True), error


def test_the_page_lists_the_families_of_the_matrix():
    trained, refused = PAGE.read_text().split("## Refused")
    names = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)
    assert names.findall(trained) == list(FAMILIES)
    assert names.findall(refused) == list(REFUSED)
