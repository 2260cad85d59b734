"""A job that cannot run ends as `failed` with a code, a helpful message, and its log."""

import json
from pathlib import Path
from typing import Any

from tests.endtoend.conftest import Stack

TINY = {
    "algorithm": {"prompts_per_step": 4},
    "rollout": {"engine": "transformers", "max_tokens": 8},
    "budget": {"max_steps": 1},
}


def failed(stack: Stack, spec: dict[str, Any]) -> dict[str, Any]:
    done = stack.finished(stack.submit(TINY | spec))
    assert done["status"] == "failed", done
    assert done["error"]["hint"]
    return done["error"]


def test_a_model_folder_without_weights(stack: Stack, tmp_path: Path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2"}))
    error = failed(stack, {"model": {"source": str(tmp_path)}})
    assert error["code"] == "model_unusable"
    assert str(tmp_path) in error["message"]
    assert "Traceback" in error["log_tail"]


def test_an_answer_that_no_reward_can_use_is_refused_by_its_row(stack: Stack, tmp_path: Path):
    rows = [{"question": "1+1=", "answer": "2"}, {"question": "1+2=", "answer": "three"}]
    path = tmp_path / "train.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    file = stack.upload(path)
    spec = {"data": {"train": file["id"]}, "rewards": [{"type": "number"}]}
    answer = stack.http.post("/v1/jobs", json=spec)
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["pointer"] == "/data/answer"
    assert "number" in error["detail"]
    assert "three" in error["detail"]


def test_the_log_keeps_the_traceback_of_a_failed_job(stack: Stack, tmp_path: Path):
    job = stack.submit(TINY | {"model": {"source": str(tmp_path)}})
    assert stack.finished(job)["error"]["code"] == "model_unusable"
    log = stack.http.get(f"/v1/jobs/{job}/logs")
    assert "Traceback" in log.text
