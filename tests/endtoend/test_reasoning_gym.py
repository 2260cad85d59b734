"""A task of reasoning-gym through every component."""

from tests.endtoend.conftest import Stack


def test_a_job_trains_on_a_task_and_is_evaluated_on_another_seed(stack: Stack):
    train = [{"source": "reasoning-gym:gcd", "size": 40, "parameters": {"max_value": 9}}]
    data = {"train": train, "eval": "reasoning-gym:gcd", "max_prompt_tokens": 256}
    response = stack.http.post("/v1/datasets/preview", json={"train": train})
    [previewed] = response.json()["data"]
    assert previewed["num_rows"] == 40
    assert "Greatest Common Divisor" in previewed["rows"][0]["messages"][0]["content"]

    job = stack.submit(
        {
            "model": {"source": "tiny-arithmetic"},
            "data": data,
            "rewards": [{"type": "reasoning_gym"}],
            "algorithm": {"group_size": 2, "prompts_per_step": 16},
            "rollout": {"max_tokens": 16},
            "evaluation": {"samples": 1, "limit": 16},
            "budget": {"max_steps": 1},
        }
    )
    done = stack.finished(job)
    assert done["status"] == "succeeded", done["error"]
    [sample, *_] = [record["payload"] for record in stack.records(job, kind="sample")]
    assert "Greatest Common Divisor" in sample["prompt"]
    assert set(sample["completions"][0]["rewards"]) == {"reasoning_gym"}
