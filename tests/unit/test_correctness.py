"""Rewards that judge correctness, and accuracy with rewards that do not."""

from typing import Any

import pytest

from grpo.evaluation.metrics import CompletionResult, PromptResult, evaluation_metrics
from grpo.rollout.scorer import Score, is_right
from grpo.spec.resolve import SpecError, resolve

NUMBER = {"type": "number"}
LENGTH = {"type": "length", "target_tokens": 10, "limit_tokens": 20, "weight": 0.1}
SIMILAR = {"type": "text_similarity"}
PYTHON = {"type": "python", "source": "def grade(sample, item):\n    return 0.5"}
MULTI = {"type": "multi", "rewards": [NUMBER], "calculate_output": "number"}
JUDGING: list[dict[str, Any]] = [
    {"type": "exact"},
    NUMBER,
    {"type": "math"},
    {"type": "string_check", "input": "{{sample.output_text}}"},
    {"type": "regex", "pattern": "(.*)", "capture": 1},
    {**SIMILAR, "threshold": 0.9},
    {**LENGTH, "correctness": True},
    {**PYTHON, "correctness": True},
    {**MULTI, "correctness": True},
]
NOT_JUDGING: list[dict[str, Any]] = [
    LENGTH,
    {"type": "format"},
    {"type": "regex", "pattern": "x"},
    {"type": "json_schema", "definition": {"type": "object"}},
    SIMILAR,
    PYTHON,
    MULTI,
    {**NUMBER, "correctness": False},
]


def right(rewards: list[dict[str, Any]], *scores: float) -> bool | None:
    parts = resolve({"rewards": rewards}).rewards
    by_name = {part.part: score for part, score in zip(parts, scores, strict=True)}
    return is_right(parts, Score(sum(scores), by_name))


@pytest.mark.parametrize("reward", JUDGING, ids=str)
def test_rewards_that_compare_or_declare_it_judge_correctness(reward: dict[str, Any]):
    assert right([reward], 1.0) is True
    assert right([reward], 0.999) is False
    assert resolve({"rewards": [reward]}).evaluation.metric == "eval/accuracy"


@pytest.mark.parametrize("reward", NOT_JUDGING, ids=str)
def test_shaping_and_graded_rewards_do_not_affect_correctness(reward: dict[str, Any]):
    assert right([reward], 1.0) is None
    assert right([{"type": "exact"}, reward], 1.0, 0.3) is True
    assert right([{"type": "exact"}, reward], 0.0, 1.0) is False


def test_without_a_positive_weight_nothing_is_right_or_wrong():
    assert right([{**NUMBER, "weight": 0.0}], 1.0) is None
    assert right([{**NUMBER, "weight": -1.0}], 0.0) is None


@pytest.mark.parametrize("reward", NOT_JUDGING, ids=str)
def test_without_a_correctness_reward_best_and_early_stop_use_the_reward(reward: dict[str, Any]):
    spec = resolve({"rewards": [reward], "evaluation": {"patience": 2}})
    assert spec.evaluation.metric == "eval/reward"
    assert spec.evaluation.patience == 2
    assert resolve(spec.model_dump(mode="json")) == spec
    chosen = f"eval/rewards/{spec.rewards[0].part}/mean"
    by_part = resolve({"rewards": [reward], "evaluation": {"metric": chosen}})
    assert by_part.evaluation.metric == chosen


@pytest.mark.parametrize("metric", ["eval/accuracy", "eval/pass@4", "eval/sums/majority@8"])
def test_a_metric_of_correctness_without_a_judge_is_refused(metric: str):
    written = {
        "rewards": [LENGTH],
        "evaluation": {"metric": metric},
        "data": {"eval": "arithmetic"},
    }
    with pytest.raises(SpecError, match="correctness: true"):
        resolve(written)


def test_parts_of_a_formula_do_not_judge():
    nested = {**MULTI, "rewards": [{**NUMBER, "correctness": True}]}
    with pytest.raises(SpecError, match="set it on the multi reward"):
        resolve({"rewards": [nested]})


def judged(right: bool | None, **parts: float) -> CompletionResult:
    return CompletionResult(
        right, sum(parts.values()), None, num_tokens=3, clipped=False, parts=parts
    )


def test_every_reward_has_its_own_curve_and_shaping_does_not_touch_accuracy():
    tried = [
        PromptResult(
            "a", (judged(True, number=1, length=0.25), judged(False, number=0, length=0.75))
        )
    ]
    metrics = evaluation_metrics(tried, with_answers=False)
    assert metrics["eval/accuracy"] == 0.5
    assert metrics["eval/rewards/number/mean"] == 0.5
    assert metrics["eval/rewards/length/mean"] == 0.5
    assert metrics["eval/reward"] == 1


def test_without_a_judge_an_evaluation_has_rewards_and_no_accuracy():
    failed = CompletionResult(None, None, None, num_tokens=3, clipped=False)
    tried = [PromptResult("a", (judged(None, length=0.25), failed))]
    metrics = evaluation_metrics(tried, with_answers=True)
    assert metrics["eval/reward"] == metrics["eval/rewards/length/mean"] == 0.25
    assert not [
        name for name in metrics if name.rpartition("/")[2].startswith(("acc", "pass", "maj"))
    ]
