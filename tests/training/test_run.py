"""One whole run and its files."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import zstandard
from transformers import AutoModelForCausalLM, AutoTokenizer

from grpo.assembly import device
from grpo.checkpoint.checkpoint import read_manifest
from grpo.reporting.metric_table import METRICS, table_name
from grpo.spec.job import JobSpec
from grpo.spec.resolve import load_spec, merge, resolve
from tests.reward_service import reward_service, said
from tests.training.runs import (
    ENVIRONMENT,
    end_of,
    finish_run,
    make_tiny_model,
    records,
    run_here,
    small_spec,
    timeless,
    weights_sha256,
    write_sums,
)

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> JobSpec:
    folder = tmp_path_factory.mktemp("inputs")
    return small_spec(make_tiny_model(folder / "model"), write_sums(folder / "sums.jsonl"))


@pytest.fixture(scope="module")
def unbroken(spec: JobSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finish_run(spec, tmp_path_factory.mktemp("runs") / "unbroken")


def test_a_run_reports_every_metric_that_needs_no_asking(unbroken: Path):
    required = {name for name, metric in METRICS.items() if not metric.optional}
    assert required <= reported(unbroken) <= set(METRICS)


def reported(folder: Path) -> set[str]:
    """Return the table's entries for a run's metrics."""
    return {
        table_name(name)
        for kind in ("metric", "eval")
        for record in records(folder, kind)
        for name in record["payload"]
    }


def test_every_other_metric_is_reported_by_a_run_that_enables_it(spec: JobSpec, tmp_path: Path):
    written = json.loads(spec.model_dump_json())
    held_out = [{"source": spec.data.eval, "name": name} for name in ("one", "two")]
    asking: list[dict[str, Any]] = [
        {
            "algorithm": {
                "ties": {"policy": "resample"},
                "kl": {"beta": 0.1},
                "sampler_correction": {"mode": "truncate"},
            },
            "data": {"eval": held_out, "test": held_out},
            "reporting": {"diagnostics_every_steps": 1},
        },
        {"algorithm": {"ties": {"policy": "grow"}, "loss": "cispo", "clip_high": 5}},
    ]
    found: set[str] = set()
    with reward_service(lambda _: said({"reasoning": "", "score": 1})) as service:
        judge = {"type": "judge", "mode": "score", "url": service.url, "model": "m", "rubric": "?"}
        judged = {
            "algorithm": {"advantage": {"baseline": "shrunk", "scale": "none"}},
            "data": {"eval": held_out, "test": held_out},
            "rewards": [*written["rewards"], judge],
        }
        for number, settings in enumerate([*asking, judged]):
            asked = resolve(merge(merge(written, settings), {"budget": {"max_steps": 1}}))
            found |= reported(run_here(asked, tmp_path / str(number)))
    assert {name for name, metric in METRICS.items() if metric.optional} <= found


def test_records_are_numbered_and_each_step_has_its_metrics_samples_and_then_its_checkpoint(
    unbroken: Path,
):
    log = records(unbroken)
    assert [record["n"] for record in log] == list(range(1, len(log) + 1))
    shape = [(record["kind"], record["step"]) for record in log if record["kind"] != "phase"]
    assert [entry for entry in shape if entry[0] != "sample"] == [
        ("eval", 0),
        ("metric", 1),
        ("metric", 2),
        ("checkpoint", 2),
        ("metric", 3),
        ("eval", 3),
        ("metric", 4),
        ("checkpoint", 4),
        ("metric", 5),
        ("metric", 6),
        ("eval", 6),
        ("checkpoint", 6),
        ("end", None),
    ]
    steps = [step for _, step in shape[:-1]]
    assert all(before <= after for before, after in pairwise(steps))
    assert ("sample", 1) in shape
    assert end_of(unbroken) == {"outcome": "completed", "error": None}
    assert [record["payload"]["final"] for record in records(unbroken, "checkpoint")] == [
        False,
        False,
        True,
    ]


def test_training_begins_with_a_record_of_how_far_it_goes(unbroken: Path):
    (training, *_) = [
        record["payload"]
        for record in records(unbroken, "phase")
        if record["payload"]["phase"] == "training"
    ]
    assert training == {"phase": "training", "total_steps": 6, "from_step": 0}


def test_every_completion_is_in_the_rollouts_and_agrees_with_the_metrics(unbroken: Path):
    metrics = records(unbroken, "metric")[2]["payload"]
    compressed = (unbroken / "rollouts/step-000003.jsonl.zst").read_bytes()
    rows = [json.loads(line) for line in zstandard.decompress(compressed).splitlines()]
    assert len(rows) == 64
    assert sum(row["reward"] for row in rows) / 64 == pytest.approx(metrics["reward"])
    assert metrics["num_rollouts"] == 3 * 64
    assert metrics["epoch"] == pytest.approx(3 * 16 / 20)


def test_the_engine_and_the_policy_agree_at_every_step(unbroken: Path):
    gaps = [
        record["payload"]["learnt/sampling_logp_difference/mean"]
        for record in records(unbroken, "metric")
    ]
    assert max(gaps) < 1e-5


def test_a_checkpoint_is_a_model_folder_whose_files_are_all_in_its_manifest(unbroken: Path):
    checkpoint = unbroken / "checkpoints/step-000006"
    manifest = read_manifest(checkpoint)
    listed = {entry["path"] for entry in manifest["files"]}
    assert listed == {path.name for path in checkpoint.iterdir()} - {"manifest.json"}
    assert {"model.safetensors", "optimizer.safetensors", "config.json", "spec.json"} <= listed
    assert manifest["environment"]["engine"] == "transformers"
    assert manifest["environment"]["num_threads"] == 1
    AutoModelForCausalLM.from_pretrained(checkpoint)
    assert AutoTokenizer.from_pretrained(checkpoint).decode([1, 4, 2]) == "1+2"


def test_the_spec_of_a_run_and_of_its_checkpoints_has_what_the_attempt_decided(
    unbroken: Path, spec: JobSpec
):
    assert (spec.model.dtype, spec.algorithm.sampler_correction.mode) == ("auto", "auto")
    decided = "bfloat16" if device().type == "cuda" else "float32"
    for folder in (unbroken, unbroken / "checkpoints/step-000006"):
        shown = load_spec(folder / "spec.json")
        mode = "none" if decided == "float32" else "truncate"
        assert (shown.model.dtype, shown.algorithm.sampler_correction.mode) == (decided, mode)


def test_a_run_that_continues_from_a_checkpoint_ends_with_the_same_bits(
    unbroken: Path, spec: JobSpec, tmp_path: Path
):
    resumed = finish_run(
        spec, tmp_path / "resumed", "--resume-from", f"{unbroken}/checkpoints/step-000002"
    )
    first = records(resumed)[0]
    assert (first["kind"], first["payload"]["from_step"]) == ("resumed", 2)
    assert records(resumed, "message") == []  # nothing differs from the first attempt
    for name in ("step-000004", "step-000006"):
        assert weights_sha256(resumed / "checkpoints" / name) == weights_sha256(
            unbroken / "checkpoints" / name
        )
    for again, once in zip(
        records(resumed, "metric"), records(unbroken, "metric")[2:], strict=True
    ):
        assert again["step"] == once["step"]
        assert timeless(again["payload"]) == timeless(once["payload"])
    assert [record["step"] for record in records(resumed, "eval")] == [3, 6]


def test_a_folder_that_holds_a_run_is_not_written_into(unbroken: Path, spec: JobSpec):
    before = (unbroken / "records.jsonl").read_bytes()
    refused = subprocess.run(
        [
            *(sys.executable, "-m", "grpo", "run", f"{unbroken}/spec.json"),
            *("--out", str(unbroken)),
        ],
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT,
    )
    assert refused.returncode == 2
    assert "is not empty" in refused.stderr
    assert (unbroken / "records.jsonl").read_bytes() == before
