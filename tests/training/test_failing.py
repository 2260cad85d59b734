"""Runs that cannot work end as failed, with a code, a message and a traceback in the log."""

import json
from pathlib import Path
from typing import Any

import pytest

from grpo.reporting.run_directory import prepare_run_directory
from grpo.run import run
from grpo.runtime.stop import Stop
from grpo.spec.job import JobSpec
from tests.training.runs import end_of, make_tiny_model, records, small_spec, write_sums

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("model"))


def failure(spec: JobSpec, folder: Path, *, resume_from: Path | None = None) -> dict[str, Any]:
    prepare_run_directory(folder, spec)
    assert run(spec, folder, resume_from=resume_from, stop=Stop()) == 1
    end = end_of(folder)
    assert end["outcome"] == "failed"
    assert end["error"]["message"]
    assert end["error"]["hint"]
    assert "Traceback" in end["error"]["traceback"]
    return end["error"]


def test_a_model_folder_without_weights_is_unusable(model: Path, tmp_path: Path):
    empty = tmp_path / "model"
    empty.mkdir()
    (empty / "config.json").write_text((model / "config.json").read_text())
    error = failure(small_spec(empty, write_sums(tmp_path / "sums")), tmp_path / "run")
    assert error["code"] == "model_unusable"
    assert "no weights" in error["message"]
    assert not error["retryable"]


def test_a_model_folder_that_is_not_there_is_unusable(tmp_path: Path):
    spec = small_spec(tmp_path / "nowhere", write_sums(tmp_path / "sums"))
    assert failure(spec, tmp_path / "run")["code"] == "model_unusable"


def test_weights_that_are_damaged_are_unusable(model: Path, tmp_path: Path):
    damaged = make_tiny_model(tmp_path / "model")
    weights = damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    error = failure(small_spec(damaged, write_sums(tmp_path / "sums")), tmp_path / "run")
    assert error["code"] == "model_unusable"


def test_a_line_that_is_not_json_is_named(model: Path, tmp_path: Path):
    data = write_sums(tmp_path / "sums")
    lines = data.read_text().splitlines()
    data.write_text("\n".join([*lines[:4], "{oops", *lines[4:]]))
    error = failure(small_spec(model, data), tmp_path / "run")
    assert error["code"] == "bad_data"
    assert "line 5" in error["message"]


def test_completions_beyond_the_models_context_are_refused(model: Path, tmp_path: Path):
    spec = small_spec(model, write_sums(tmp_path / "sums"), rollout={"max_tokens": 57})
    error = failure(spec, tmp_path / "run")
    assert error["code"] == "context_too_short"
    assert "need a context of 65; the model's is 64" in error["message"]


def test_an_answer_that_no_reward_can_use_ends_the_run_before_training(model: Path, tmp_path: Path):
    data = tmp_path / "data"
    rows = [{"question": "1+1=", "answer": "2"}, {"question": "1+2=", "answer": "three"}]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    spec = small_spec(model, data)
    error = failure(spec, tmp_path / "run")
    assert error["code"] == "bad_data"
    assert "1 of 2 rows (50.0%) cannot be used: row 2" in error["message"]
    assert records(tmp_path / "run", "metric") == []


def powers_of_e(exponent: int) -> dict[str, Any]:
    """Return a reward of e to the exponent for a right completion."""
    right = {"type": "number", "name": "right"}
    return {"type": "multi", "rewards": [right], "calculate_output": f"right*exp({exponent})"}


def test_a_loss_beyond_all_numbers_ends_the_run_and_nothing_of_it_is_saved(
    model: Path, tmp_path: Path
):
    spec = small_spec(
        model,
        write_sums(tmp_path / "sums"),
        rewards=[powers_of_e(690)],
        algorithm={"advantage": {"scale": "none"}},
    )
    error = failure(spec, tmp_path / "run")
    assert error["code"] == "nan_loss"
    assert "learning_rate" in error["hint"]
    assert records(tmp_path / "run", "checkpoint") == []


def test_a_damaged_checkpoint_is_not_resumed_from(model: Path, tmp_path: Path):
    spec = small_spec(model, write_sums(tmp_path / "sums"), budget={"max_steps": 1})
    prepare_run_directory(tmp_path / "run", spec)
    assert run(spec, tmp_path / "run", stop=Stop()) == 0
    checkpoint = tmp_path / "run/checkpoints/step-000001"
    (checkpoint / "optimizer.safetensors").write_bytes(b"damaged")
    error = failure(spec, tmp_path / "again", resume_from=checkpoint)
    assert error["code"] == "checkpoint_damaged"
    assert "optimizer.safetensors" in error["message"]


def test_a_stop_before_anything_was_trained_saves_nothing(model: Path, tmp_path: Path):
    stop = Stop()
    stop.requested = True
    spec = small_spec(model, write_sums(tmp_path / "sums"))
    prepare_run_directory(tmp_path / "run", spec)
    assert run(spec, tmp_path / "run", stop=stop) == 0
    assert end_of(tmp_path / "run") == {"outcome": "stopped", "error": None}
    assert records(tmp_path / "run", "checkpoint") == []


def test_prompts_that_are_too_long_are_left_out_counted_and_reported(model: Path, tmp_path: Path):
    data = write_sums(tmp_path / "sums")
    with data.open("a") as file:
        file.write(json.dumps({"question": "1+1+1+1+1=", "answer": "5"}) + "\n")
    spec = small_spec(model, data, budget={"max_steps": 1}, evaluation={"limit": 1})
    prepare_run_directory(tmp_path / "run", spec)
    assert run(spec, tmp_path / "run", stop=Stop()) == 0
    messages = [record["payload"]["text"] for record in records(tmp_path / "run", "message")]
    assert messages == [
        "1 training prompts are longer than 8 tokens and are left out",
        "1 held-out prompts are longer than 8 tokens and are left out",
    ]
