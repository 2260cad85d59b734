"""The metrics of an evaluation, by values worked by hand."""

import pytest

from grpo.evaluation.metrics import CompletionResult, PromptResult, evaluation_metrics
from grpo.reporting.metric_table import table_name


def judged(answer: str | None, right: bool, *, reward: float | None = None) -> CompletionResult:
    return CompletionResult(
        right=right,
        reward=float(right) if reward is None else reward,
        answer=answer,
        num_tokens=6 if right else 10,
        clipped=answer is None,
    )


FAILED = CompletionResult(right=False, reward=None, answer="3", num_tokens=10, clipped=False)

SUMS = [
    # Two of four right: pass@2 = 5/6, pass@4 = 1.  The majority, 7, is right.
    PromptResult(
        "sums", (judged("7", True), judged("3", False), judged("7", True), judged(None, False))
    ),
    # One of four right: pass@2 = 1/2, pass@4 = 1.  The majority, 4, is wrong.
    PromptResult(
        "sums", (judged("4", False), judged("5", True), judged("4", False), judged("6", False))
    ),
]
# None of four right, one of them not scored.
WORDS = PromptResult("words", (judged("a", False, reward=-1.0), judged("b", False), FAILED, FAILED))


def test_the_metrics_of_one_source():
    assert evaluation_metrics(SUMS, with_answers=True) == {
        "eval/accuracy": 3 / 8,
        "eval/pass@2": pytest.approx((5 / 6 + 1 / 2) / 2),
        "eval/pass@4": 1,
        "eval/majority@4": 1 / 2,
        "eval/reward": 3 / 8,
        "eval/num_failed": 0,
        "eval/completions/mean_length": (3 * 6 + 5 * 10) / 8,
        "eval/completions/clipped_ratio": 1 / 8,
        "eval/num_prompts": 2,
        "eval/samples": 4,
    }


def test_several_sources_have_their_own_metrics_in_addition_to_the_total():
    metrics = evaluation_metrics([SUMS[0], WORDS, SUMS[1]], with_answers=True)
    assert metrics["eval/accuracy"] == 3 / 12
    assert metrics["eval/pass@2"] == pytest.approx((5 / 6 + 1 / 2 + 0) / 3)
    assert metrics["eval/majority@4"] == pytest.approx(1 / 3)
    of_sources = {name: value for name, value in metrics.items() if name.count("/") == 2}
    assert of_sources == {
        "eval/completions/mean_length": (3 * 6 + 9 * 10) / 12,
        "eval/completions/clipped_ratio": 1 / 12,
        "eval/sums/accuracy": 3 / 8,
        "eval/sums/pass@2": pytest.approx((5 / 6 + 1 / 2) / 2),
        "eval/sums/pass@4": 1,
        "eval/sums/majority@4": 1 / 2,
        "eval/sums/reward": 3 / 8,
        "eval/words/accuracy": 0,
        "eval/words/pass@2": 0,
        "eval/words/pass@4": 0,
        "eval/words/majority@4": 0,
        "eval/words/reward": -1 / 2,
    }
    assert all(table_name(name) for name in metrics)


def test_a_completion_that_could_not_be_scored_is_wrong_counted_and_not_in_the_rewards_mean():
    metrics = evaluation_metrics([WORDS, SUMS[0]], with_answers=True)
    assert metrics["eval/num_failed"] == 2
    assert metrics["eval/accuracy"] == 2 / 8
    assert metrics["eval/reward"] == pytest.approx((-1 + 2) / 6)


def test_a_source_of_which_nothing_could_be_scored_has_no_reward():
    metrics = evaluation_metrics([SUMS[0], PromptResult("words", (FAILED,) * 4)], with_answers=True)
    assert "eval/words/reward" not in metrics
    assert metrics["eval/words/accuracy"] == 0


def test_without_answers_there_is_no_majority():
    metrics = evaluation_metrics(SUMS, with_answers=False)
    assert not [name for name in metrics if "majority" in name]


def test_one_completion_a_prompt_has_accuracy_alone():
    one = PromptResult("sums", (judged("7", True),))
    names = set(evaluation_metrics([one], with_answers=True))
    assert not [name for name in names if "@" in name]
