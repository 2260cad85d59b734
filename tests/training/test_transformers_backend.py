"""Architectures that vLLM runs by transformers' classes, which it changes in place."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tests.training.runs import (
    CHARACTERS,
    finish_run,
    make_tiny_model,
    records,
    small_spec,
    write_sums,
)

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.timeout(400),  # the first start of vLLM on a machine is slow
    pytest.mark.filterwarnings("ignore"),
]
SIZES: dict[str, Any] = {
    "vocab_size": len(CHARACTERS) + 1,
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 64,
    "bos_token_id": None,
    "pad_token_id": None,
    "eos_token_id": len(CHARACTERS),
}


@pytest.mark.parametrize("kind", ["olmo2"])
@pytest.mark.parametrize("lora", [None, {"rank": 4}])
def test_the_policy_trains_beside_an_engine_that_has_changed_its_class(
    tmp_path: Path, kind: str, lora: dict[str, int] | None
):
    folder = make_tiny_model(tmp_path / "model")
    (folder / "generation_config.json").unlink(missing_ok=True)
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **SIZES)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    spec = small_spec(
        folder,
        write_sums(tmp_path / "sums.jsonl"),
        model={"lora": lora},
        data={"eval": None},
        rollout={"engine": "vllm"},
        budget={"max_steps": 2},
    )
    run = finish_run(spec, tmp_path / "run")
    assert len(records(run, "metric")) == 2  # each proved that the weights had arrived
