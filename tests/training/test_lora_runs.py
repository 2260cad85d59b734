"""Runs with an adapter: weight sync, checkpoints and exports."""

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from grpo.errors import RunError
from grpo.models.export import export
from grpo.models.locate import locate_model, open_folder
from grpo.models.policy import Policy, load_model, load_policy
from grpo.spec.resolve import load_spec
from tests.training.adapters import CPU, LORA, drawn, logprobs_of, mean_gap
from tests.training.engines import started_engine
from tests.training.runs import (
    ENVIRONMENT,
    end_of,
    make_tiny_model,
    records,
    run_here,
    small_spec,
    timeless,
    write_sums,
)

pytestmark = [
    pytest.mark.timeout(240),  # the first start of vLLM on a machine is slow
    pytest.mark.filterwarnings("ignore"),  # vLLM's own, as it is imported
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def unbroken(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four steps with vLLM."""
    folder = tmp_path_factory.mktemp("lora")
    spec = small_spec(
        base,
        write_sums(folder / "sums"),
        model={"lora": LORA},
        optimizer={"learning_rate": 1e-2},
        algorithm={"kl": {"beta": 0.01}},
        rollout={"engine": "vllm"},
        budget={"max_steps": 4},
    )
    return run_here(spec, folder / "run")


LAST = "checkpoints/step-000004"


def grpo(*arguments: str) -> str:
    """Output of a command of `python -m grpo`."""
    command = [sys.executable, "-m", "grpo", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def policy_of(checkpoint: Path) -> Policy:
    """Load the policy as in a run that resumes from the checkpoint."""
    spec = load_spec(checkpoint / "spec.json")
    return load_policy(
        open_folder(checkpoint) if spec.model.lora is None else locate_model(spec.model),
        spec.model,
        checkpoint=checkpoint,
        seed=spec.seed,
        device=CPU,
        precision="float32",
    )


def test_a_run_with_an_adapter_learns_and_vllm_agrees_at_every_step(unbroken: Path):
    metrics = [record["payload"] for record in records(unbroken, "metric")]
    gaps = [each["learnt/sampling_logp_difference/mean"] for each in metrics]
    assert len(gaps) == 4
    assert max(gaps) < 1e-5
    # Against the base under the adapter, which the policy moves away from.
    assert 0 < 10 * metrics[0]["learnt/kl"] < metrics[-1]["learnt/kl"]


def test_the_checkpoint_is_an_adapters_folder(unbroken: Path, base: Path):
    folder = unbroken / LAST
    assert not list(folder.glob("model*"))
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == (
        str(base)
    )
    weights = load_file(folder / "adapter_model.safetensors")
    assert len(weights) == 2 * 7 * 2
    states = load_file(folder / "optimizer.safetensors")
    assert len(states) == 3 * len(weights)
    assert all(".lora_" in name for name in states)


@pytest.mark.nightly
def test_a_continued_adapter_ends_with_the_same_bits(unbroken: Path, tmp_path: Path):
    saved = unbroken / "checkpoints/step-000002"
    spec = load_spec(unbroken / "spec.json")
    resumed = run_here(spec, tmp_path / "resumed", resume_from=saved)
    for name in ("adapter_model.safetensors", "optimizer.safetensors"):
        assert (resumed / LAST / name).read_bytes() == (unbroken / LAST / name).read_bytes()
        assert (saved / name).read_bytes() != (unbroken / LAST / name).read_bytes()
    again = [timeless(each["payload"]) for each in records(resumed, "metric")]
    assert again == [timeless(each["payload"]) for each in records(unbroken, "metric")[2:]]


def reported(run: Path, place: int) -> dict[str, float]:
    return timeless(records(run, "eval")[place]["payload"])


@pytest.mark.nightly
def test_evaluating_an_adapters_checkpoint_prints_the_score_that_the_run_reported(unbroken: Path):
    printed = grpo("eval", str(unbroken / LAST), "--json")
    assert timeless(json.loads(printed)) == reported(unbroken, -1)


@pytest.mark.parametrize("lora", [None, {"rank": 2, "alpha": 2.0}], ids=["whole", "adapter"])
def test_a_job_can_start_from_an_adapters_checkpoint(
    unbroken: Path, tmp_path: Path, lora: dict[str, Any] | None
):
    spec = small_spec(
        unbroken / LAST,
        write_sums(tmp_path / "sums"),
        model={"lora": lora},
        rollout={"engine": "vllm"},
        budget={"max_steps": 1},
    )
    run = run_here(spec, tmp_path / "run")
    assert end_of(run)["outcome"] == "completed"
    assert reported(run, 0) == reported(unbroken, -1)
    (metrics,) = records(run, "metric")
    assert metrics["payload"]["learnt/sampling_logp_difference/mean"] < 1e-5
    files = {path.name for path in (run / "checkpoints/step-000001").iterdir()}
    assert ("model.safetensors" in files) == (lora is None)
    assert ("adapter_model.safetensors" in files) == (lora is not None)


def test_an_exported_adapter_is_a_whole_model_with_the_policys_logprobs(
    unbroken: Path, tmp_path: Path
):
    grpo("export", str(unbroken / LAST), str(tmp_path / "out"))
    policy = policy_of(unbroken / LAST)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    exported = Policy(model.eval(), precision="float32")
    torch.testing.assert_close(logprobs_of(exported), logprobs_of(policy), rtol=1e-4, atol=1e-5)
    for name in ("vllm", "transformers"):
        with closing(started_engine(tmp_path / "out", name, max_batch=64)) as engine:
            assert mean_gap(policy, *drawn(engine)) < 1e-5
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    assert not {name for name in names if name.startswith(("adapter", "optimizer", "spec"))}


def test_exporting_a_whole_checkpoint_leaves_out_what_only_training_needs(
    base: Path, tmp_path: Path
):
    spec = small_spec(base, write_sums(tmp_path / "sums"), budget={"max_steps": 2})
    checkpoint = run_here(spec, tmp_path / "run") / "checkpoints/step-000002"
    export(checkpoint, tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    kept = {"optimizer.safetensors", "trainer_state.json", "manifest.json", "spec.json"}
    assert not names & kept
    assert kept <= {path.name for path in checkpoint.iterdir()}
    policy = Policy(load_model(open_folder(tmp_path / "out"), device=CPU), precision="float32")
    assert torch.equal(logprobs_of(policy), logprobs_of(policy_of(checkpoint)))
    with pytest.raises(RunError, match="already exists"):
        export(checkpoint, tmp_path / "out")
