"""Progress shown by `watch`, worked by hand."""

from datetime import UTC, datetime
from typing import Any

from duet.objects.log import Record
from duet.terminal.output import clock
from duet.terminal.progress import Progress
from duet.terminal.watch import event_line, step_line

QUEUED = Progress(status="queued")


def record(kind: str, payload: dict[str, Any], *, step: int | None = None) -> Record:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Record(seq=1, kind=kind, step=step, attempt=1, at=at, payload=payload)


def metric(step: int, **numbers: float) -> Record:
    return record("metric", {"reward": 0.5, **numbers}, step=step)


def test_a_step_shows_reward_ties_speed_and_time_left():
    seen = QUEUED.after(record("phase", {"phase": "training", "total_steps": 12}))
    said = {"groups/tied_fraction": 0.58, "rollout/tokens_per_second": 8912.4, "step_time": 2.0}
    seen = seen.after(record("metric", {"reward": 0.613, **said}, step=7))
    assert step_line(seen, "tied pairs") == (
        "step 7/12  reward 0.61  tied pairs 58%  8,912 tokens/s  0:10 left"
    )


def test_the_time_left_is_judged_by_the_last_ten_steps():
    seen = Progress(status="running", total_steps=30)
    for step in range(1, 21):
        seen = seen.after(metric(step, step_time=1.0 if step <= 10 else 3.0))
    assert seen.seconds_left == 30.0


def test_no_remaining_time_is_shown_before_the_first_step():
    assert Progress(status="running", total_steps=30).seconds_left is None


def test_steps_that_a_resumed_attempt_takes_again_are_forgotten():
    seen = QUEUED
    for step, accuracy in ((0, 0.39), (4, 0.5), (8, 0.6)):
        seen = seen.after(metric(step)).after(
            record("eval", {"eval/accuracy": accuracy}, step=step)
        )
    seen = seen.after(record("resumed", {"from_step": 6}))
    assert seen.step == 6
    assert seen.accuracies == ((0, 0.39), (4, 0.5))


def test_a_number_that_was_not_finite_is_left_out():
    seen = QUEUED.after(record("metric", {"reward": None, "nonfinite": ["reward"]}, step=3))
    assert step_line(seen, "tied pairs") == "step 3"


def test_events_have_a_line_and_samples_have_none():
    assert event_line(record("eval", {"eval/accuracy": 0.393}, step=0)) == (
        "step 0: held-out accuracy 39.3%"
    )
    assert event_line(record("status", {"status": "queued", "reason": "submitted"})) == (
        "queued: submitted"
    )
    assert event_line(record("sample", {"prompt": "1+2="}, step=1)) is None


def test_long_times_show_their_hours():
    assert [clock(7.4), clock(75), clock(3661)] == ["0:07", "1:15", "1:01:01"]
