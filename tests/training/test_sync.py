"""Real vLLM: the weights arrive, an omission is caught, and a resume is bit-exact."""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from torch import Tensor

from grpo.assembly import assemble
from grpo.checkpoint import TrainerState
from grpo.errors import RunError
from grpo.policy import Policy
from grpo.records import Recorder
from grpo.reporter import Reporter
from grpo.stopping import Stop
from grpo.trainer import Trainer
from tests.training.runs import (
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
        report=Reporter(recorder, tmp_path, seed=spec.seed),
        save=lambda *_: None,
        stop=Stop(),
    )
    with closing(parts.engine), pytest.raises(RunError) as caught:
        trainer.train()
    assert caught.value.code == "weights_not_synced"
    first, *others = records(tmp_path, "metric")
    # The first step samples from the weights that the engine was started with.
    assert first["payload"]["sampling/sampling_logp_difference/mean"] < 1e-5
    assert others == []


def test_with_vllm_too_a_continued_run_ends_with_the_same_bits(tmp_path: Path):
    spec = small_spec(
        make_tiny_model(tmp_path / "model"),
        write_sums(tmp_path / "sums"),
        rollout={"engine": "vllm"},
        budget={"max_steps": 4},
    )
    unbroken = finish_run(spec, tmp_path / "unbroken")
    gaps = [
        record["payload"]["sampling/sampling_logp_difference/mean"]
        for record in records(unbroken, "metric")
    ]
    assert max(gaps) < 1e-5
    saved = unbroken / "checkpoints/step-000002"
    resumed = finish_run(spec, tmp_path / "resumed", "--resume-from", str(saved))
    last = "checkpoints/step-000004"
    assert weights_sha256(resumed / last) == weights_sha256(unbroken / last)
    assert weights_sha256(unbroken / last) != weights_sha256(saved)
