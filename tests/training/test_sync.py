"""Real vLLM: the weights arrive, what did not arrive is named, and a resume is bit-exact."""

import gc
import json
import subprocess
import sys
import weakref
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from grpo.assembly import assemble
from grpo.checkpoint.checkpoint import TrainerState
from grpo.errors import RunError
from grpo.models.layer_names import by_layer
from grpo.models.policy import Policy
from grpo.reporting.records import Recorder
from grpo.reporting.reporter import Reporter
from grpo.rollout.engines.engine import RolloutEngine
from grpo.rollout.weight_proof import prove_weights_took
from grpo.runtime.stop import Stop
from grpo.spec.resolve import load_spec
from grpo.trainer import Trainer
from tests.training.engines import move, started_engine
from tests.training.runs import (
    ENVIRONMENT,
    make_tiny_model,
    records,
    run_here,
    small_spec,
    weights_sha256,
    write_sums,
)

pytestmark = [
    pytest.mark.timeout(240),  # the first start of vLLM on a machine is slow
    pytest.mark.filterwarnings("ignore"),  # vLLM's own, as it is imported
]


class WithoutTheHead(Policy):
    """Sync of a saved folder and named_parameters(), without the tied `lm_head.weight`."""

    def weights(self) -> dict[str, Tensor]:
        return dict(self.model.named_parameters())


def test_a_sync_that_leaves_out_the_tied_head_is_refused_at_that_step(tmp_path: Path):
    spec = small_spec(
        make_tiny_model(tmp_path / "model"),
        write_sums(tmp_path / "sums"),
        data={"eval": None},
        rollout={"engine": "vllm"},
        optimizer={"learning_rate": 1e-2, "warmup_steps": 0},
    )
    recorder = Recorder(tmp_path / "records.jsonl", now=lambda: datetime.now(UTC))
    parts = assemble(spec, model_folder=None, phase=lambda _: None).parts
    forgetful = WithoutTheHead(parts.policy.model, precision="float32")
    trainer = Trainer(
        spec,
        replace(parts, policy=forgetful),
        state=TrainerState(),
        last_step=6,
        report=Reporter(recorder, tmp_path, spec),
        save=lambda *_: lambda: None,
        stop=Stop(),
    )
    with closing(parts.engine), closing(parts.scorer), pytest.raises(RunError) as caught:
        trainer.train()
    assert caught.value.code == "weights_not_synced"
    assert "model.embed_tokens.weight in lm_head.weight" in caught.value.message
    # At the start nothing is stale: the engine was started with the same weights.
    assert records(tmp_path, "phase")[-1]["payload"]["phase"] == "training"
    assert records(tmp_path, "metric") == []


@pytest.fixture(
    scope="module", params=["float32", pytest.param("bfloat16", marks=pytest.mark.nightly)]
)
def started(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RolloutEngine, PreTrainedModel]]:
    """vLLM in a dtype, and the model that it was started with, in float32."""
    folder = make_tiny_model(tmp_path_factory.mktemp("model"))
    engine = started_engine(folder, dtype=request.param)
    with closing(engine):
        yield engine, AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def test_a_whole_sync_is_right_again_and_again(started: tuple[RolloutEngine, PreTrainedModel]):
    engine, model = started
    for _ in range(3):
        move(model)
        weights = model.state_dict()
        engine.load_weights(weights)
        prove_weights_took(engine, weights, names=None)
        prove_weights_took(engine, weights, names=["model.layers.1.mlp.up_proj.weight"])


def test_any_one_weight_that_stays_behind_is_named(
    started: tuple[RolloutEngine, PreTrainedModel],
):
    engine, model = started
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    move(model)
    after = model.state_dict()
    shared = ["model.embed_tokens.weight", "lm_head.weight"]  # the head is tied
    for left in [name for name in after if name not in shared]:
        engine.load_weights({**after, left: before[left]})
        (named,) = engine.stale_weights(after, names=None)
        assert named.startswith(f"{left} in model.")
        assert engine.stale_weights(after, names=[left]) == [named]
        assert engine.stale_weights(after, names=[name for name in after if name != left]) == []
    engine.load_weights({**after, **{name: before[name] for name in shared}})
    assert engine.stale_weights(after, names=None) == [
        "model.embed_tokens.weight in model.embed_tokens.weight",
        "model.embed_tokens.weight in lm_head.weight",
    ]


def test_one_number_that_differs_is_found(started: tuple[RolloutEngine, PreTrainedModel]):
    engine, model = started
    name = "model.layers.0.self_attn.k_proj.weight"
    engine.load_weights(model.state_dict())
    with torch.no_grad():
        model.get_parameter(name)[3, 5] *= 1.01  # more than bfloat16 rounds away
    with pytest.raises(RunError, match=f"{name} in .*qkv_proj.weight") as caught:
        prove_weights_took(engine, model.state_dict(), names=None)
    assert caught.value.code == "weights_not_synced"


class OfAnAdapter(Mapping[str, Tensor]):
    """Weights that are made as they are asked for, as an adapter's merged ones are."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._weights = model.state_dict()
        self.made: list[weakref.ref[Tensor]] = []
        self.most_kept = 0

    def __getitem__(self, name: str) -> Tensor:
        self.most_kept = max(self.most_kept, self.num_kept())
        made = self._weights[name].clone()
        self.made.append(weakref.ref(made))
        return made

    def num_kept(self) -> int:
        return sum(each() is not None for each in self.made)

    def __iter__(self) -> Iterator[str]:
        return iter(self._weights)

    def __len__(self) -> int:
        return len(self._weights)


def test_a_comparison_keeps_one_layers_weights_at_a_time(
    started: tuple[RolloutEngine, PreTrainedModel],
):
    engine, model = started
    engine.load_weights(model.state_dict())
    weights = OfAnAdapter(model)
    gc.collect()
    gc.disable()  # memory that only a collection frees is not free when the engine's cache wakes
    try:
        assert engine.stale_weights(weights, names=None) == []
        assert weights.num_kept() == 0
    finally:
        gc.enable()
    assert weights.most_kept < max(map(len, by_layer(weights).values()))


def test_an_engines_parameter_without_a_weight_of_the_policy_is_named(
    started: tuple[RolloutEngine, PreTrainedModel],
):
    engine, model = started
    weights = model.state_dict()
    engine.load_weights(weights)
    for left, place in [
        ("model.norm.weight", "model.norm.weight"),
        ("model.layers.0.self_attn.k_proj.bias", "model.layers.0.self_attn.qkv_proj.bias"),
        ("model.layers.1.mlp.gate_proj.weight", "model.layers.1.mlp.gate_up_proj.weight"),
    ]:
        without = {name: weight for name, weight in weights.items() if name != left}
        (named,) = engine.stale_weights(without, names=None)
        assert named.startswith(f"{place} in the engine")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four steps with vLLM."""
    folder = tmp_path_factory.mktemp("vllm")
    spec = small_spec(
        make_tiny_model(folder / "model"),
        write_sums(folder / "sums"),
        rollout={"engine": "vllm"},
        budget={"max_steps": 4},
    )
    return run_here(spec, folder / "run")


def test_vllm_agrees_with_the_policy_at_every_step(unbroken: Path):
    gaps = [
        record["payload"]["learnt/sampling_logp_difference/mean"]
        for record in records(unbroken, "metric")
    ]
    assert len(gaps) == 4
    assert max(gaps) < 1e-5


def test_with_vllm_too_a_continued_run_ends_with_the_same_bits(unbroken: Path, tmp_path: Path):
    saved = unbroken / "checkpoints/step-000002"
    spec = load_spec(unbroken / "spec.json")
    resumed = run_here(spec, tmp_path / "resumed", resume_from=saved)
    last = "checkpoints/step-000004"
    assert weights_sha256(resumed / last) == weights_sha256(unbroken / last)
    assert weights_sha256(unbroken / last) != weights_sha256(saved)


def test_evaluating_a_checkpoint_prints_the_score_that_the_run_reported(unbroken: Path):
    data = load_spec(unbroken / "spec.json").data.eval
    assert isinstance(data, str)
    checkpoint = str(unbroken / "checkpoints/step-000004")
    printed = subprocess.run(
        [sys.executable, "-m", "grpo", "eval", checkpoint, "--data", data, "--json"],
        capture_output=True,
        text=True,
        check=True,
        env=ENVIRONMENT,
    )
    reported = records(unbroken, "eval")[-1]["payload"]
    del reported["seconds/eval"]
    assert json.loads(printed.stdout) == reported
