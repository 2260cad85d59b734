"""Progress of a run on the terminal, worked by hand."""

from typing import Any

from grpo.reporting.console import ProgressLines
from grpo.reporting.records import Record
from grpo.spec.rollout import Evaluation


def record(kind: str, payload: dict[str, Any], step: int | None = None) -> Record:
    at = "2026-05-01T12:34:56.789012Z"
    return {"n": 1, "kind": kind, "step": step, "at": at, "payload": payload}


def evaluated(step: int, accuracy: float, **more: float) -> Record:
    return record("eval", {"eval/accuracy": accuracy, "eval/samples": 4, **more}, step)


def said(*records: Record, evaluation: Evaluation | None = None) -> list[str]:
    lines: list[str] = []
    show = ProgressLines(lines.append, evaluation or Evaluation())
    for one in records:
        show(one)
    return lines


STEP = {
    "reward": 0.6134,
    "groups/tied_fraction": 0.578,
    "grad_norm": 0.12345,
    "completions/mean_length": 27.4,
    "step_time": 1.84,
    "loss": 0.0,
}
END = record("end", {"outcome": "completed", "error": None})


def test_a_step_is_one_line_of_its_most_telling_numbers():
    assert said(record("metric", STEP, 7)) == [
        "12:34:56 step 7: reward 0.613, ties 58%, grad norm 0.12, length 27, 1.8 s"
    ]


def test_a_number_that_was_not_finite_is_left_out():
    payload = {**STEP, "grad_norm": None, "nonfinite": ["grad_norm"]}
    assert said(record("metric", payload, 7)) == [
        "12:34:56 step 7: reward 0.613, ties 58%, length 27, 1.8 s"
    ]


def test_an_evaluation_shows_accuracy_with_pass_and_majority_where_there_are_such():
    several = {"eval/pass@2": 0.7, "eval/pass@4": 0.75, "eval/majority@4": 0.625}
    assert said(evaluated(10, 0.5), evaluated(20, 0.5, **several)) == [
        "12:34:56 step 10: held-out accuracy 0.5000",
        "12:34:56 step 20: held-out accuracy 0.5000, pass@4 0.7500, majority@4 0.6250",
    ]


def test_lines_stay_below_80_columns_and_what_does_not_fit_is_left_out():
    long_step = {**STEP, "reward": -123.4, "grad_norm": 1.2345e-5, "step_time": 3599.9}
    payload = {"eval/accuracy": 1.0, "eval/samples": 1024}
    payload |= {"eval/pass@1024": 1.0, "eval/majority@1024": 1.0}
    end = "12:34:56 completed: best eval/accuracy 1.0000 at step 12345"
    assert said(record("metric", long_step, 12345), record("eval", payload, 12345), END) == [
        "12:34:56 step 12345: reward -123.400, ties 58%, grad norm 1.2e-05, length 27",
        "12:34:56 step 12345: held-out accuracy 1.0000, pass@1024 1.0000",
        end,
    ]


def test_the_end_names_the_best_evaluation():
    lines = said(evaluated(0, 0.25), evaluated(10, 0.75), evaluated(20, 0.75), END)
    assert lines[-1] == "12:34:56 completed: best eval/accuracy 0.7500 at step 10"


def test_the_best_is_by_the_requested_metric():
    lines = said(
        evaluated(0, 0.5, **{"eval/pass@4": 0.5}),
        evaluated(10, 0.25, **{"eval/pass@4": 0.75}),
        END,
        evaluation=Evaluation(metric="eval/pass@4"),
    )
    assert lines[-1] == "12:34:56 completed: best eval/pass@4 0.7500 at step 10"


def test_a_resumed_attempt_reports_where_its_search_for_the_best_started():
    resumed = record("resumed", {"from_step": 10}, 10)
    lines = said(resumed, evaluated(20, 0.5), END)
    assert lines[-1] == "12:34:56 completed: best eval/accuracy since step 10 0.5000 at step 20"


def test_an_end_without_an_evaluation_or_with_an_error_is_reported_as_such():
    assert said(END) == ["12:34:56 completed"]
    error = {"message": "the reward failed.", "hint": "Correct it."}
    failed = record("end", {"outcome": "failed", "error": error})
    assert said(evaluated(0, 0.5), failed)[-1] == "12:34:56 failed: the reward failed. Correct it."
