"""The best evaluation so far, by hand."""

import json
from dataclasses import asdict

import pytest

from grpo.errors import RunError
from grpo.evaluation.early_stopping import Best, Verdict, judge, measured
from grpo.spec.rollout import Evaluation

PATIENT = Evaluation(patience=2)


def verdicts(values: list[float], evaluation: Evaluation) -> list[Verdict]:
    """Judge evaluations at steps 0, 10, 20, ... in order."""
    best, given = None, []
    for place, value in enumerate(values):
        given.append(judge(best, step=10 * place, value=value, evaluation=evaluation))
        best = given[-1].best
    return given


def test_the_best_is_the_highest_value_and_an_equal_one_is_not_a_new_best():
    given = verdicts([0.25, 0.5, 0.5, 0.375, 0.75], Evaluation())
    assert [verdict.best for verdict in given] == [
        Best(0, 0.25, 0),
        Best(10, 0.5, 0),
        Best(10, 0.5, 1),
        Best(10, 0.5, 2),
        Best(40, 0.75, 0),
    ]
    assert [verdict.is_new_best for verdict in given] == [True, True, False, False, True]
    assert {verdict.stop_reason for verdict in given} == {None}


def test_training_ends_after_as_many_evaluations_without_a_new_best_as_its_patience():
    given = verdicts([0.25, 0.5, 0.5, 0.75, 0.5, 0.75], PATIENT)
    assert [verdict.stop_reason for verdict in given[:-1]] == [None] * 5
    assert given[-1].stop_reason == (
        "ended early: eval/accuracy was best at step 30, 0.7500 (patience 2)"
    )


def test_training_ends_when_the_target_is_reached():
    given = verdicts([0.25, 0.5, 0.75], Evaluation(metric="eval/pass@4", target=0.5))
    assert given[0].stop_reason is None
    assert given[1].stop_reason == "ended early: eval/pass@4 reached 0.5000 (target 0.5)"


def test_rewards_below_zero_have_a_best_too():
    assert [verdict.best for verdict in verdicts([-2.0, -1.0], Evaluation())] == [
        Best(0, -2.0, 0),
        Best(10, -1.0, 0),
    ]


def test_a_best_that_went_through_a_checkpoint_judges_the_same():
    values = [0.25, 0.5, 0.5, 0.375]
    given = verdicts(values, PATIENT)
    for step, value, before, after in zip(
        (10, 20, 30), values[1:], given[:-1], given[1:], strict=True
    ):
        restored = Best(**json.loads(json.dumps(asdict(before.best))))
        assert judge(restored, step=step, value=value, evaluation=PATIENT) == after


def test_the_metric_is_looked_up_by_its_name():
    evaluation = Evaluation(metric="eval/pass@4")
    assert measured({"eval/accuracy": 0.25, "eval/pass@4": 0.5}, evaluation) == 0.5


def test_a_metric_that_is_not_reported_names_those_that_are():
    with pytest.raises(RunError, match="'eval/pass@8'") as refused:
        measured({"eval/pass@4": 0.5, "eval/accuracy": 0.25}, Evaluation(metric="eval/pass@8"))
    assert refused.value.code == "bad_metric"
    assert refused.value.hint == "Choose one of eval/accuracy, eval/pass@4."
