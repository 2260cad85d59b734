"""A run beyond the length that the model's config states."""

import json
from pathlib import Path
from typing import Any

import pytest

from grpo.models.context import context_of
from grpo.models.export import export
from grpo.models.locate import open_folder
from tests.training.runs import (
    finish_run,
    make_tiny_model,
    records,
    run_here,
    small_spec,
    write_sums,
)

pytestmark = pytest.mark.filterwarnings("ignore")
BEYOND: dict[str, Any] = {
    "data": {"eval": None},
    "algorithm": {"group_size": 2, "prompts_per_step": 4, "minibatches": 1},
    "budget": {"max_steps": 1},
}
CONTEXT = 80  # the tiny model's config has 64


@pytest.mark.parametrize("lora", [None, {"rank": 4}])
def test_completions_pass_the_configs_length_and_the_export_states_the_new_one(
    tmp_path: Path, lora: dict[str, int] | None
):
    model = {"context_tokens": CONTEXT, "lora": lora}
    rollout = {"engine": "transformers", "max_tokens": CONTEXT - 8}
    inputs = make_tiny_model(tmp_path / "model"), write_sums(tmp_path / "sums.jsonl")
    spec = small_spec(*inputs, model=model, rollout=rollout, **BEYOND)
    folder = run_here(spec, tmp_path / "run")
    checkpoint = folder / "checkpoints/step-000001"
    # Only an adapter's export needs the spec, and of that one number: not the rewards that some
    # other version of the trainer knows.
    (checkpoint / "spec.json").write_text(
        json.dumps(
            {"model": {"context_tokens": CONTEXT}, "rewards": [{"type": "x"}]} if lora else 0
        )
    )
    export(checkpoint, tmp_path / "out")
    assert context_of(open_folder(tmp_path / "out"), None) == CONTEXT


@pytest.mark.nightly
@pytest.mark.timeout(240)
def test_vllm_reads_beyond_the_configs_length(tmp_path: Path):
    model = {"context_tokens": CONTEXT}
    rollout = {"engine": "vllm", "max_tokens": CONTEXT - 8}
    inputs = make_tiny_model(tmp_path / "model"), write_sums(tmp_path / "sums.jsonl")
    spec = small_spec(*inputs, model=model, rollout=rollout, **BEYOND)
    folder = finish_run(spec, tmp_path / "run")
    assert len(records(folder, "metric")) == 1
