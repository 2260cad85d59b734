"""Real vLLM: the weights arrive, an omission is caught, and a resume is bit-exact."""

import json
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from torch import Tensor

from grpo.assembly import assemble
from grpo.checkpoint.checkpoint import TrainerState
from grpo.errors import RunError
from grpo.models.policy import Policy
from grpo.reporting.records import Recorder
from grpo.reporting.reporter import Reporter
from grpo.runtime.stop import Stop
from grpo.spec.resolve import load_spec
from grpo.trainer import Trainer
from tests.training.runs import (
    ENVIRONMENT,
    finish_run,
    make_tiny_model,
    records,
    small_spec,
    weights_sha256,
    write_sums,
)

pytestmark = [
    pytest.mark.timeout(240),  # the first start of vLLM on a machine is slow
    pytest.mark.filterwarnings("ignore"),  # vLLM's own, as it is imported
]


class WithoutTheHead(Policy):
    """Hands over what a saved folder and named_parameters() hold: no tied `lm_head.weight`."""

    def weights(self) -> dict[str, Tensor]:
        return dict(self.model.named_parameters())


def test_a_sync_that_leaves_out_the_tied_head_is_caught_at_the_next_step(tmp_path: Path):
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
        save=lambda *_: None,
        stop=Stop(),
    )
    with closing(parts.engine), closing(parts.scorer), pytest.raises(RunError) as caught:
        trainer.train()
    assert caught.value.code == "weights_not_synced"
    first, *others = records(tmp_path, "metric")
    # The first step samples from the weights that the engine was started with.
    assert first["payload"]["learnt/sampling_logp_difference/mean"] < 1e-5
    assert others == []


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
    return finish_run(spec, folder / "run")


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
    resumed = finish_run(spec, tmp_path / "resumed", "--resume-from", str(saved))
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
