"""Estimates of a spec: counts from the spec, time from jobs that ran, memory from the model."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from grpo.budget import TOKEN_BUDGET
from grpo.builtin.catalogue import MODELS
from grpo.estimate.memory import estimate_memory
from grpo.spec.resolve import resolve
from store.jobs.outcomes import Failed
from tests.service.api.hand import Hand

GIVEN_UP = {"code": "nan_loss", "message": "it made two steps", "hint": ""}

SPEC: Mapping[str, Any] = {
    "preset": "2-grpo",
    "data": {"train": "arithmetic", "max_prompt_tokens": 64},
    "rollout": {"max_tokens": 64},
    "algorithm": {"prompts_per_step": 10},
    "budget": {"max_steps": 5, "epochs": 100},
}


def estimates(http: httpx.Client, spec: Mapping[str, Any] = SPEC, **more: Any) -> dict[str, Any]:
    answer = http.post("/v1/estimates", json={"spec": spec, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_rollouts_grow_with_the_group_and_nothing_else_does(http: httpx.Client):
    found = estimates(http, group_sizes=[2, 4, 16])
    assert found["num_prompts"] > 0
    assert [each["group_size"] for each in found["estimates"]] == [2, 4, 16]
    assert [each["rollouts"] for each in found["estimates"]] == [100, 200, 800]
    assert [each["longest_tokens"] for each in found["estimates"]] == [12_800, 25_600, 102_400]
    for each in found["estimates"]:
        assert (each["steps"], each["updates"]) == (5, 5)
        assert (each["seconds"], each["tokens"], each["measured_on"]) == (None, None, 0)


def test_memory_equals_the_estimators_result(http: httpx.Client):
    memory = estimates(http)["estimates"][0]["memory"]
    expected = estimate_memory(
        resolve(SPEC),
        MODELS["tiny-arithmetic"].config,
        device="cpu",
        token_budget=TOKEN_BUDGET["cpu"],
        engine="vllm",
    )
    assert (memory["device"], memory["total"]) == ("cpu", expected.total)
    assert memory["assumed_engine"] == "vllm"  # the spec leaves it to the worker
    on_transformers = {**SPEC, "rollout": {"engine": "transformers"}}
    memory = estimates(http, on_transformers)["estimates"][0]["memory"]
    assert memory["assumed_engine"] == "transformers"
    assert memory["optimizer"] == expected.optimizer
    on_gpu = estimates(http, {**SPEC, "resources": {"gpus": 1}})["estimates"][0]["memory"]
    assert on_gpu["device"] == "cuda"


def test_a_model_that_only_workers_see_has_counts_but_no_memory(http: httpx.Client):
    (found, _) = estimates(http, {**SPEC, "model": {"source": "owner/name"}})["estimates"]
    assert found["rollouts"] == 100
    assert found["memory"] is None
    assert "owner/name" in found["memory_unknown"]


def test_time_is_measured_on_jobs_of_the_same_model_and_group_size(
    http: httpx.Client, their_http: httpx.Client, claims: Callable[[], Hand]
):
    for step_time in (2.0, 6.0, 3.0):
        http.post("/v1/jobs", json=SPEC)
        hand = claims()
        # 20 rollouts a step, 10 tokens each
        hand.step(1, num_rollouts=20, num_tokens=200)
        hand.step(2, num_rollouts=40, num_tokens=400, step_time=step_time)
        hand.finish(Failed(GIVEN_UP, retryable=False))
    two, sixteen = estimates(http)["estimates"]
    assert two["measured_on"] == 3
    assert two["seconds"] == pytest.approx(100 * 3.0 / 20)  # the median
    assert two["tokens"] == 100 * 10
    assert (sixteen["seconds"], sixteen["measured_on"]) == (None, 0)
    assert estimates(their_http)["estimates"][0]["seconds"] is None


def test_errors_point_into_the_spec(http: httpx.Client):
    wrong = {"spec": {"rollout": {"top_p": 0.5}}}
    answer = http.post("/v1/estimates", json=wrong)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/spec/rollout/top_p"]
    answer = http.post("/v1/estimates", json={"spec": SPEC, "group_sizes": [1]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/spec/algorithm/group_size"


@pytest.mark.parametrize(
    "config",
    ["[]", "3", "null", '{"text_config": 3}', '{"hidden_size": 1e999}', '{"vocab_size": "x"}'],
)
def test_a_folder_with_another_config_has_counts_but_no_memory(
    http: httpx.Client, tmp_path: Path, config: str
):
    (tmp_path / "config.json").write_text(config)
    (found, _) = estimates(http, {**SPEC, "model": {"source": str(tmp_path)}})["estimates"]
    assert found["rollouts"] == 100
    assert found["memory"] is None
    assert found["memory_unknown"]
