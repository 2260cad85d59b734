"""Hard cases of docs/trainer.md ("Special cases") behave as documented."""

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


@pytest.fixture(scope="module")
def sums(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sums(tmp_path_factory.mktemp("data") / "sums.jsonl")


def train(spec: JobSpec, folder: Path) -> dict[str, Any]:
    prepare_run_directory(folder, spec)
    run(spec, folder, stop=Stop())
    return end_of(folder)


def rows(folder: Path, *of: dict[str, str]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in of))
    return path


def test_fifty_steps_of_ties_only_are_fifty_steps_without_an_update(model: Path, tmp_path: Path):
    never = rows(tmp_path, {"question": "1+1=", "answer": "99999"})
    spec = small_spec(
        model,
        never,
        algorithm={"prompts_per_step": 2, "group_size": 2, "minibatches": 1},
        evaluation={"every_steps": 25},
        checkpoints={"every_steps": 50},
        budget={"epochs": 1000, "max_steps": 50},
    )
    assert train(spec, tmp_path / "run") == {"outcome": "completed", "error": None}
    metrics = [record["payload"] for record in records(tmp_path / "run", "metric")]
    assert len(metrics) == 50
    assert {one["groups/tied_fraction"] for one in metrics} == {1}
    assert (metrics[-1]["num_updates"], metrics[-1]["num_skipped_updates"]) == (0, 50)
    assert {one["grad_norm"] for one in metrics} == {0}
    assert [record["step"] for record in records(tmp_path / "run", "eval")] == [0, 25, 50]


def test_an_answer_of_one_token_is_trained_on(model: Path, sums: Path, tmp_path: Path):
    spec = small_spec(model, sums, rollout={"max_tokens": 1}, budget={"max_steps": 2})
    assert train(spec, tmp_path / "run") == {"outcome": "completed", "error": None}
    (first, _) = [record["payload"] for record in records(tmp_path / "run", "metric")]
    assert first["completions/max_length"] == 1
    assert first["grad_norm"] > 0


def test_an_empty_completion_is_scored_as_empty_text(model: Path, tmp_path: Path):
    """Engine whose completions have only an end token and no text."""
    empty = rows(tmp_path, {"question": "1+1=", "answer": ""})
    spec = small_spec(
        model, empty, rewards=[{"type": "exact"}], budget={"epochs": 100, "max_steps": 2}
    )
    assert train(spec, tmp_path / "run") == {"outcome": "completed", "error": None}
    samples = [record["payload"] for record in records(tmp_path / "run", "sample")]
    said = [completion for sample in samples for completion in sample["completions"]]
    assert {completion["text"] == "" for completion in said} == {True, False}
    for completion in said:
        assert completion["reward"] == (completion["text"] == "")


def test_an_infinite_reward_skips_its_group_and_ends_the_run_at_the_limit(
    model: Path, sums: Path, tmp_path: Path
):
    # Each right completion's sum is beyond the largest float.
    right = {"type": "number", "name": "right"}
    formula = "right*exp(700)*exp(700)"
    rewards = [{"type": "multi", "rewards": [right], "calculate_output": formula}]
    spec = small_spec(model, sums, rewards=rewards, scoring={"max_failures": 0.02})
    end = train(spec, tmp_path / "run")
    assert (end["outcome"], end["error"]["code"]) == ("failed", "reward_failed")


def failing_when_right(**scoring: Any) -> dict[str, Any]:
    """Settings with a reward that gives infinity for a right completion, which few are."""
    right = {"type": "number", "name": "right"}
    formula = "right*exp(700)*exp(700)"
    return {
        "rewards": [{"type": "multi", "rewards": [right], "calculate_output": formula}],
        "scoring": scoring,
        "data": {"eval": None},
        "algorithm": {"prompts_per_step": 4, "group_size": 2, "minibatches": 1},
        "checkpoints": {"every_steps": 20, "keep_last": 100},
    }


def num_failures(folder: Path) -> int:
    messages = [record["payload"]["text"] for record in records(folder, "message")]
    return sum("failed on a completion" in text for text in messages)


def test_failures_before_a_resume_count_toward_the_limit(model: Path, sums: Path, tmp_path: Path):
    free = failing_when_right(max_failures=None)
    spec = small_spec(model, sums, **free, budget={"epochs": 100, "max_steps": 20})
    assert train(spec, tmp_path / "first") == {"outcome": "completed", "error": None}
    assert num_failures(tmp_path / "first") >= 5
    strict = failing_when_right(max_failures=0.01)
    spec = small_spec(model, sums, **strict, budget={"epochs": 100, "max_steps": 40})
    folder = tmp_path / "second"
    prepare_run_directory(folder, spec)
    run(spec, folder, resume_from=tmp_path / "first/checkpoints/step-000020", stop=Stop())
    assert end_of(folder)["error"]["code"] == "reward_failed"
    assert num_failures(folder) < 5, "fewer than would end a run without the steps before"


def test_scores_that_all_time_out_end_no_run_and_are_counted(
    model: Path, sums: Path, tmp_path: Path
):
    spec = small_spec(
        model,
        sums,
        rewards=[{"type": "regex", "pattern": "(?:a?|b?){40}x"}],  # 2^40 ways to match nothing
        scoring={"seconds": 0.05, "max_failures": 0.01},
        data={"eval": None},
        algorithm={"prompts_per_step": 1, "group_size": 2, "minibatches": 1},
        budget={"max_steps": 2},
    )
    assert train(spec, tmp_path / "run") == {"outcome": "completed", "error": None}
    metrics = [record["payload"] for record in records(tmp_path / "run", "metric")]
    assert [one["groups/num_skipped"] for one in metrics] == [3, 3]
    assert [one["num_rollouts"] for one in metrics] == [6, 12]
    assert metrics[-1]["num_updates"] == 0
    assert not any("reward" in one for one in metrics)
    assert num_failures(tmp_path / "run") == 12


def test_prompts_longer_than_the_context_never_reach_the_engine(model: Path, tmp_path: Path):
    too_long = rows(
        tmp_path,
        {"question": "1+1=", "answer": "2"},
        {"question": "+".join("1" * 50) + "=", "answer": "50"},
    )
    spec = small_spec(model, too_long, budget={"epochs": 100, "max_steps": 1})
    assert train(spec, tmp_path / "run") == {"outcome": "completed", "error": None}
    (said, *_) = [record["payload"]["text"] for record in records(tmp_path / "run", "message")]
    assert said.startswith("1 training prompts are longer than 8 tokens")
