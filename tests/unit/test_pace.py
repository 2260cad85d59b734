"""A trainer that is asked to stop gets the time that its steps and saves take."""

from datetime import UTC, datetime
from typing import Any

import pytest

from store.log.log import Entry
from worker.attempt.pace import LONGEST_SECONDS, Pace

AT = datetime(2026, 1, 2, tzinfo=UTC)


def paced(*payloads: dict[str, Any], kind: str = "metric") -> Pace:
    pace = Pace()
    for n, payload in enumerate(payloads, 1):
        pace.note(Entry(n=n, kind=kind, step=n, at=AT, payload=payload))
    return pace


@pytest.mark.parametrize(
    ("payloads", "seconds"),
    [
        ([], 60),
        ([{"step_time": 1.0, "seconds/checkpoint": 2.0}], 60),
        ([{"step_time": 40.0}], 120),
        ([{"step_time": 40.0, "seconds/checkpoint": 35.0}], 155),
        # A metric without a save keeps the last one's; the step is always the last.
        ([{"step_time": 90.0, "seconds/checkpoint": 35.0}, {"step_time": 40.0}], 155),
        ([{"step_time": 40.0}, {"step_time": float("nan")}], 120),
        ([{"step_time": 40.0}, {"step_time": "long"}, {"step_time": True}], 120),
        ([{"step_time": -1.0}, {"step_time": float("inf")}], 60),
        ([{"step_time": 1e12}], LONGEST_SECONDS),
    ],
)
def test_the_grace_is_three_steps_and_a_save(payloads: list[dict[str, Any]], seconds: float):
    assert paced(*payloads).grace_seconds(60) == seconds


def test_only_metrics_count_and_the_setting_is_the_least():
    assert paced({"step_time": 90.0}, kind="eval").grace_seconds(60) == 60
    assert paced({"step_time": 90.0}).grace_seconds(3600) == 3600
    assert paced({"step_time": 1e12}).grace_seconds(1e6) == 1e6
